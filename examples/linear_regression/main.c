/* Fits a line to noisy points with the C that `mlxcc linear_regression.mx -o linear_regression.c` writes.
 * The whole training run is one call; its memory is known before it starts. */
#include <stdio.h>
#include <stdlib.h>
#include "linear_regression.h"

enum { N = 200, D = 2 };

int main(void)
{
	static float x[N * D], y[N];
	unsigned s = 1;
	for (int i = 0; i < N; i++) {
		for (int d = 0; d < D; d++) s = s * 1664525u + 1013904223u, x[i * D + d] = (float)(s >> 8) / (1 << 23) - 1;
		s = s * 1664525u + 1013904223u;
		y[i] = 3 * x[i * D] - 2 * x[i * D + 1] + 0.5f + 0.01f * ((float)(s >> 8) / (1 << 23) - 1);
	}

	float w[D] = {0}, b = 0, loss;
	void *arena = malloc(linear_regression_fit_arena_bytes(D, N) + 1);
	if (!arena || linear_regression_fit(w, &b, x, y, 0.1f, 300, &loss, D, N, arena)) return 1;
	printf("y = %.3f x0 %+.3f x1 %+.3f   (truth: 3, -2, 0.5)   loss %.2e\n", w[0], w[1], b, loss);
	free(arena);
	return 0;
}
