/* --profile: emitted C counts calls, time, bytes and operations of each kernel, in memory of the caller. */
#ifndef MLXCC_CODEGEN_PROFILE_H
#define MLXCC_CODEGEN_PROFILE_H
#include "emit.h"

/* The types and prototypes in the header; the table of names and the report in the C file. */
void profile_header(Emit *e, StrBuf *out);
void profile_source(Emit *e, StrBuf *out);
/* Around a kernel's call in a function. */
void profile_open(Emit *e, const Kernel *k);
void profile_close(Emit *e, Kernel *k);
/* ", P_profile *profile" of functions, ", profile" of calls; "" without --profile. */
const char *profile_parameter(Emit *e);
const char *profile_argument(const Emit *e);
/* kernel_has_loops of c_kernel.c: others are printed in place and not counted. */
bool kernel_has_loops(const Kernel *k);
#endif
