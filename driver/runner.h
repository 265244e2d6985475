/* Compiled code in another process, for other machines: the executable with runtime/runner_main.c, under the command of MLXCC_RUNNER. */
#ifndef MLXCC_DRIVER_RUNNER_H
#define MLXCC_DRIVER_RUNNER_H
#include "driver.h"

/* What runs executables, words with spaces between; NULL: code runs in this process. */
const char *runner_command(void);
/* C to put behind mx_call and mx_arena. */
const char *runner_main_text(void);
typedef void RunnerPrint(void *ctx, const char *message, const char *dtype, const void *data, ptrdiff_t n);
/* As native_call; results are allocated already. print: NULL if nothing is to be printed. -1 after a message. */
int runner_call(Session *s, const char *program, const Signature *g, int which, Tensor *const *args, const DimEnv *env,
                Tensor *const *results, RunnerPrint *print, void *ctx);
#endif
