// @ts-check
/**
 * The server's messages, as sinks/mirror/messages.py declares them.
 *
 * @typedef {import("./ribbon.js").Moment} Moment  in server seconds
 *
 * @typedef {object} View
 * @property {"view"} [type]
 * @property {string | null} mood  null: no face
 * @property {number | null} confidence  0..1
 * @property {number} faces
 * @property {string} [reason]  why the mood is unknown
 * @property {string[]} [moods]  of two people or more, each one's
 *
 * @typedef {object} Tick
 * @property {"tick"} type
 * @property {number} now  server seconds
 * @property {Moment | null} moment  null: no report came in this second
 *
 * @typedef {object} Line
 * @property {string} text
 * @property {string} [link]  a web address
 * @property {string} [mood]  what the text's {mood} stands for
 * @property {string} [entry]  of the page's library, in place of the text
 *
 * @typedef {object} Content
 * @property {"content"} type
 * @property {Line | null} line  null: there is none
 *
 * @typedef {object} Paused
 * @property {"paused"} type
 * @property {boolean} paused  the camera is closed
 *
 * @typedef {object} Trouble
 * @property {"trouble"} type
 * @property {string[]} parts  names of the sinks that cannot deliver
 *
 * @typedef {object} ShowWeek
 * @property {"week"} type
 *
 * @typedef {object} Enrollment
 * @property {"enrollment"} [type]
 * @property {string | null} look  the label to show now; null: none is asked
 * @property {number} number  of this look, from 1
 * @property {number} count
 * @property {number} share  0..1 of the look is done; 0: get ready
 * @property {string | null} problem  why the seconds do not pass
 * @property {string | null} outcome  how it ended
 *
 * @typedef {object} Settings
 * @property {string} language  a code, or auto
 * @property {boolean} greeting  whether to greet
 * @property {string} name  whom to greet
 * @property {string} evening  HH:MM, from when it is night
 * @property {string} morning  HH:MM, until when
 * @property {"dark" | "light" | "contrast"} theme
 * @property {number} text_size  of small text, 1 is usual
 * @property {12 | 24} clock
 * @property {boolean} motion  of the halo
 * @property {boolean} enroll  whether the page can start an enrollment
 * @property {string} week_at  a day and HH:MM, or nothing
 *
 * @typedef {object} Hello
 * @property {"hello"} type
 * @property {number} now  server seconds
 * @property {number} span  seconds that the ribbon covers
 * @property {View | null} view
 * @property {Moment[]} history  oldest first
 * @property {Content} content
 * @property {Trouble} trouble
 * @property {number} kept_days  days for which shares of moods are kept; 0: none
 * @property {boolean} paused
 * @property {Enrollment | null} enrollment
 * @property {Settings} settings
 *
 * @typedef {(View & {type: "view"}) | Tick | Content | Paused | Trouble | ShowWeek
 *   | (Enrollment & {type: "enrollment"}) | Hello} Message
 */

/**
 * @param {string} text
 * @returns {Message}
 */
export function decode(text) {
  return JSON.parse(text);
}
