/* Interpreting a function, with messages. */
#ifndef MLXCC_DRIVER_INTERP_H
#define MLXCC_DRIVER_INTERP_H
#include "driver.h"

/* results: [nresult], filled with tensors in the session's arena. False after messages. */
enum Interpret { INTERPRET_ALOUD, INTERPRET_QUIETLY /* no prints, and an assert that does not hold gives no message */ };
bool interpret(Session *s, Func *f, Tensor *const *args, DimEnv *env, Tensor **results, enum Interpret how);
/* The same on loop IR: s->program, at whatever pass it is. */
bool interpret_loops(Session *s, Func *f, Tensor *const *args, DimEnv *env, Tensor **results, enum Interpret how);
void tensor_put(StrBuf *b, const Tensor *t); /* nested brackets, the middle of long axes left out */
/* Appends what stands before the next {} of a print's message; the text behind it, or NULL where there is none. */
const char *print_to_hole(StrBuf *b, const char *rest);
#endif
