// @ts-check
/**
 * The model and settings of the page, as contract.py declares them: contract.json.
 *
 * @typedef {{ scale: number, zero_point: number }} Affine  real = scale * (quantized - zero_point)
 * @typedef {{ size: number, margin: number }} Preprocess
 *
 * @typedef {object} MoodFilter
 * @property {number[]} prior  of each label
 * @property {number} threshold
 * @property {number} seconds  for which an expression lasts
 * @property {number} correlation  seconds between frames that count as two
 * @property {number} outliers  share of readings that say nothing
 * @property {number} unreadable  odds of an unreadable frame for a label
 * @property {number} inertia  how much more the evidence of a believed label counts
 * @property {number} known_inertia  how much more that of whether there is one counts
 * @property {number} unknown  prior of it
 * @property {number} hold  seconds for which a reason holds
 *
 * @typedef {{ idle: number, active: number, linger: number }} FrameRateSettings
 *
 * @typedef {object} TrackingSettings
 * @property {number} interval
 * @property {number} still
 * @property {number} overlap
 * @property {number} hits
 * @property {number} certainty
 * @property {number} patience
 * @property {number} smallest
 * @property {number} hidden  seconds for which a face is kept that passes behind another one
 * @property {number} farthest  seconds over which a face is taken to go on as it went
 *
 * @typedef {object} QualitySettings
 * @property {number} smallest
 * @property {number} darkest
 * @property {number} brightest
 * @property {number} blurriest
 * @property {number} turned
 *
 * @typedef {object} Detector
 * @property {number} size  side of the input, pixels
 * @property {[cell: number, anchors: number][]} grids
 * @property {{ scale: number, across: number, down: number }} calibration
 * @property {number} lowest  score below which a box is not considered
 * @property {number} same_face  overlap at which two boxes are one face
 *
 * @typedef {object} Search  as search.py says
 * @property {number} sure
 * @property {number} padded
 * @property {number} tile
 * @property {number} levels
 * @property {number} eager
 * @property {number} overlap
 * @property {number} least_tile
 * @property {number} small
 * @property {number} around
 * @property {number} few
 * @property {number} step
 * @property {number} inside
 * @property {number} same_face
 *
 * @typedef {object} Files  each packed by gzip
 * @property {string} runtime
 * @property {string} classifier
 * @property {string} far
 * @property {string} near
 *
 * @typedef {object} Contract
 * @property {string} model
 * @property {string[]} labels
 * @property {Preprocess} preprocess
 * @property {Affine} input
 * @property {Affine[]} outputs  of the model's heads
 * @property {{ columns: number[], factor: number }[]} terms  how their logits make the labels'
 * @property {number} temperature
 * @property {Record<string, string>} languages  their own names, by code
 * @property {MoodFilter} mood
 * @property {TrackingSettings} tracking
 * @property {QualitySettings} quality
 * @property {FrameRateSettings} frame_rate  frames a second, and seconds
 * @property {number} flat  standard deviation of a face's grey levels from which it is read as it is
 * @property {number} white  grey level from which a pixel is overexposed
 * @property {{ width: number, height: number, enough: number, levels: number, change: number }} motion
 * @property {number} gap  seconds between frames after which tracks are forgotten
 * @property {Detector} far
 * @property {Detector} near
 * @property {Search} search
 * @property {Files} files
 */

/** @returns {Promise<Contract>} */
export async function loadContract() {
  const answer = await fetch("contract.json");
  if (!answer.ok) throw new Error(`contract.json: ${answer.status}`);
  return answer.json();
}
