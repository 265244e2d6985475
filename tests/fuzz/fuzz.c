/* Coverage-guided fuzzing of what reads text: the .mx lexer, parser and elaborator, and the readers and verifiers of tensor IR and
 * of loop IR. libFuzzer calls LLVMFuzzerTestOneInput; FUZZ_IR and FUZZ_LOOPS choose the second and the third. Nothing may crash, hang or take more than a gigabyte. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined FUZZ_LOOPS
#include "../../passes/loop.h"
#elif defined FUZZ_IR
#include "../../ir/ir.h"
#else
#include "../../frontend/ast.h"
#endif

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
#elif defined FUZZ_LOOPS
		Program *p = loops_read(a, d, file);
		if (p && loops_verify(p, true)) {
			StrBuf once, twice;
			sb_init(&once, a), sb_init(&twice, a);
			loops_print(&once, p, (PrintOptions){0});
			Program *p2 = loops_read(a, d, diag_add_file(d, "again", sb_text(&once), once.n));
			if (!p2 || !loops_verify(p2, true)) fprintf(stderr, "%s\n%s\n", sb_text(&once), diag_text(d)), abort();
			loops_print(&twice, p2, (PrintOptions){0});
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
