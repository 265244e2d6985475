/* Interpreting a function, with messages. */
#ifndef MLXCC_DRIVER_INTERP_H
#define MLXCC_DRIVER_INTERP_H
#include "driver.h"

/* results: [nresult], filled with tensors in the session's arena. False after messages. */
bool interpret(Session *s, Func *f, Tensor *const *args, DimEnv *env, Tensor **results);
void tensor_put(StrBuf *b, const Tensor *t); /* nested brackets, the middle of long axes left out */
#endif
