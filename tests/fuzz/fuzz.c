/* Coverage-guided fuzzing of what reads text: the .mx lexer, parser and elaborator, and the IR reader and verifier. libFuzzer calls
 * LLVMFuzzerTestOneInput; FUZZ_IR chooses the second. Nothing may crash, hang or take more than a gigabyte. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../frontend/ast.h"
#include "../../ir/ir.h"

static jmp_buf exhausted;
static void on_exhausted(void *ctx)
{
	(void)ctx;
	longjmp(exhausted, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena *a = arena_new((size_t)512 << 20, on_exhausted, NULL);
	if (!setjmp(exhausted)) {
		Diag *d = diag_new(a, NULL);
		uint32_t file = diag_add_file(d, "fuzz", (const char *)data, size);
#ifdef FUZZ_IR
		Module *m = ir_read(a, d, file);
		if (m && ir_verify(m, true)) {
			StrBuf once, twice;
			sb_init(&once, a), sb_init(&twice, a);
			ir_print_module(&once, m, (PrintOptions){0});
			uint32_t again = diag_add_file(d, "again", sb_text(&once), once.n);
			Module *m2 = ir_read(a, d, again);
			if (!m2) fprintf(stderr, "%s\n%s\n", sb_text(&once), diag_text(d)), abort();
			ir_print_module(&twice, m2, (PrintOptions){0});
			if (strcmp(sb_text(&once), sb_text(&twice))) fprintf(stderr, "%s\n---\n%s\n", sb_text(&once), sb_text(&twice)), abort();
		}
#else
		Intern strings;
		intern_init(&strings, a);
		parse_file(a, &strings, d, file);
#endif
		(void)diag_text(d);
	}
	arena_free(a);
	return 0;
}
