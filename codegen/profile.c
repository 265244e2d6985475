/* --profile. Each function takes a pointer to P_profile, one row for each kernel of the program that is a function of its own, in the order
 * in which the functions and their steps stand; NULL: nothing is counted. The rows have no state beyond that, so that callers on several
 * threads use one structure each. */
#include "profile.h"
#include "../passes/cost.h"

typedef struct Rows {
	Emit *e;
	StrBuf *out;
	const LoopFunc *f;
	const Kernel *wanted;
	int n, found;
} Rows;

static void count_row(void *p, StepList *list, Step *s)
{
	Rows *r = p;
	(void)list;
	if (s->kind != STEP_KERNEL || !kernel_has_loops(s->kernel)) return;
	if (s->kernel == r->wanted) r->found = r->n;
	if (r->out) {
		const char *place = emit_place(r->e, kernel_loc(r->f, s->kernel));
		sb_printf(r->out, "\t{\"%s.%s\", \"%s\"},\n", r->f->func->name, s->kernel->name, place ? place : "");
	}
	r->n++;
}

static Rows walk_rows(Emit *e, StrBuf *out, const Kernel *wanted)
{
	Rows r = {.e = e, .out = out, .wanted = wanted, .found = -1};
	for (int i = 0; i < e->p->funcs.n; i++) {
		r.f = e->p->funcs.at[i];
		steps_walk(&e->p->funcs.at[i]->steps, count_row, &r);
	}
	return r;
}

void profile_header(Emit *e, StrBuf *out)
{
	if (!e->o.profile) return;
	int n = walk_rows(e, NULL, NULL).n;
	sb_put(out, "#ifndef MLXCC_PROFILE\n#define MLXCC_PROFILE\n"
	            "/* What a kernel did: ticks of MX_CLOCK; bytes that it reads and writes and operations, as --emit=report counts them. */\n"
	            "typedef struct mx_count {\n\tuint64_t calls, ticks;\n\tdouble bytes, flops;\n} mx_count;\n"
	            "typedef struct mx_counted {\n\tconst char *name, *place;   /* function.kernel; the line of the program */\n} mx_counted;\n"
	            "#endif\n\n");
	sb_printf(out, "#define %s_KERNELS %d\n", e->PREFIX, n);
	sb_printf(
	    out,
	    "/* Begins as zeros; each call of an entry adds to it. */\ntypedef struct %s_profile {\n\tmx_count kernel[%d];\n} %s_profile;\n",
	    e->prefix, n ? n : 1, e->prefix);
	sb_printf(out, "extern const mx_counted %s_kernels[%d];\n", e->prefix, n ? n : 1);
	sb_printf(out,
	          "/** Writes the counts as a table to text[0..room), zero-terminated; returns the length of the whole table.\n"
	          " *  gbytes, gflops: what the machine does in a nanosecond at most, for the column `limit`; 0: without it. */\n"
	          "size_t %s_profile_report(const %s_profile *profile, double gbytes, double gflops, char *text, size_t room);\n\n",
	          e->prefix, e->prefix);
}

void profile_source(Emit *e, StrBuf *out)
{
	if (!e->o.profile) return;
	StrBuf rows;
	sb_init(&rows, e->a);
	int n = walk_rows(e, &rows, NULL).n;
	sb_printf(out, "const mx_counted %s_kernels[%d] = {\n%s};\n\n", e->prefix, n ? n : 1, n ? sb_text(&rows) : "\t{\"\", \"\"},\n");
	sb_printf(out,
	          "size_t %s_profile_report(const %s_profile *profile, double gbytes, double gflops, char *text, size_t room)\n{\n"
	          "\treturn mx_profile_text(profile->kernel, %s_kernels, %d, gbytes, gflops, text, room);\n}\n\n",
	          e->prefix, e->prefix, e->prefix, n);
}

void profile_open(Emit *e, const Kernel *k)
{
	if (!e->o.profile) return;
	emit_line(e, "{");
	e->indent++;
	emit_line(e, "const uint64_t mx_from = profile ? (uint64_t)MX_CLOCK() : 0;");
	(void)k;
}

static const char *count_text(Emit *e, Dim d)
{
	int64_t n;
	if (dim_is_const(d, &n)) return arena_printf(e->a, "%lld.0", (long long)n);
	return arena_printf(e->a, "(double)(%s)", emit_dim(e, d));
}

void profile_close(Emit *e, Kernel *k)
{
	if (!e->o.profile) return;
	DimCtx *c = e->m->dims;
	KernelCost cost = kernel_cost(c, e->a, k);
	emit_line(e, "if (profile) mx_note(&profile->kernel[%d], mx_from, %s, %s);", walk_rows(e, NULL, k).found,
	          count_text(e, dim_add(c, cost.read, cost.written)), count_text(e, cost.flops));
	e->indent--;
	emit_line(e, "}");
}

const char *profile_parameter(Emit *e)
{
	return e->o.profile ? arena_printf(e->a, ", %s_profile *profile", e->prefix) : "";
}

const char *profile_argument(const Emit *e)
{
	return e->o.profile ? ", profile" : "";
}
