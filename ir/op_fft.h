/* Sizes and tables of Fourier transforms, for who gives them memory: the interpreter and lowering. A line's plan depends on its length and
 * on whether its elements are neighbours (`apart`: they are not). */
#ifndef MLXCC_IR_OP_FFT_H
#define MLXCC_IR_OP_FFT_H
#include "ir.h"

int64_t fft_table_size(OpCode c, int64_t n, bool apart); /* floats */
int64_t fft_room_size(OpCode c, int64_t n, bool apart);  /* floats of scratch */
void fft_table_fill(OpCode c, int64_t n, bool apart, float *table, float *room);
bool fft_norm(const char *text, int *power); /* 0 none, 1 size, 2 root: 1, 1/n, 1/sqrt(n) */
float fft_scale(int norm, int64_t n);
/* Bounds of both for any n, as a * n + b floats. */
enum { FFT_TABLE_PER_ELEMENT = 20, FFT_TABLE_MORE = 4096, FFT_ROOM_PER_ELEMENT = 64, FFT_ROOM_MORE = 65536 };
#endif
