/* One inference, one line of output: what a small program with a model in it costs to start. */
#include "mlp.h"
#include <stdio.h>

static float x[784], out[10];
static unsigned char arena[MLP_MAIN_ARENA_BYTES + 64];

int main(void) {
	for (int i = 0; i < 784; i++) {
		x[i] = (float)(i % 7) * 0.125f;
	}
	int status = mlp_main(x, out, arena);
	printf("%.9g\n", (double)out[0]);
	return status;
}
