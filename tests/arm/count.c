/* Counts the instructions that an emulated program executes, and tells the sum at its marks.
 *
 * A plugin of QEMU's code generator (docs/devel/tcg-plugins.rst, API version 1, QEMU 4.2 and
 * later). A mark is the system call fsync on a descriptor from MARK on, which no program has:
 * it fails at once and changes nothing. What is used of the API is declared here, for Debian
 * ships no header of it. Adding is not atomic: for programs that run one thread at a time.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FSYNC 82 /* on arm64, as in include/uapi/asm-generic/unistd.h */
#define MARK 1000000
#define ADD_U64 0 /* QEMU_PLUGIN_INLINE_ADD_U64 */

struct qemu_plugin_tb;
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *,
                                                     uint64_t);
extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t,
                                                  void (*)(uint64_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_syscall_cb(
    uint64_t, void (*)(uint64_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       uint64_t, uint64_t, uint64_t, uint64_t));

int qemu_plugin_version = 1;

static uint64_t executed;
static FILE *out;

static void translated(uint64_t id, struct qemu_plugin_tb *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &executed,
                                             qemu_plugin_tb_n_insns(block));
}

static void called(uint64_t id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2,
                   uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)cpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == FSYNC && a1 >= MARK)
        fprintf(out, "%" PRIu64 " %" PRIu64 "\n", a1 - MARK, executed);
}

/* The third argument tells about QEMU; the last two are `name=value` pairs: out=FILE. */
int qemu_plugin_install(uint64_t id, const void *about, int count, char **given) {
    (void)about;
    if (count != 1 || !(out = fopen(given[0] + sizeof "out=" - 1, "w")))
        return 1;
    setlinebuf(out);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
