/* mlxcc run --profile: the C around an entry that counts its kernels, the calls, and the table.
 *
 * The limits that kernels are held against are measured at the end, in the same library: bytes that a copy of 64 MB moves in a nanosecond,
 * multiplications and additions on vectors in registers. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "driver.h"

static const char text[] =
    "\nvoid *mx_profile;\nsize_t mx_profile_bytes(void);\nsize_t mx_profile_show(char *text, size_t room);\n"
    "size_t mx_profile_bytes(void)\n{\n\treturn sizeof(run_profile);\n}\n"
    "#include <stdlib.h>\n"
    "#if defined __AVX512F__\n#define MX_WIDE 64\n#elif defined __AVX__\n#define MX_WIDE 32\n#else\n#define MX_WIDE 16\n#endif\n"
    "typedef float mx_wide __attribute__((vector_size(MX_WIDE)));\n"
    "static double mx_gbytes(void)\n{\n\tconst size_t n = (size_t)64 << 20;\n\tchar *p = malloc(2 * n);\n\tdouble best = 0;\n\tif (!p) "
    "return 0;\n"
    "\tmemset(p, 1, 2 * n);\n\tfor (int i = 0; i < 4; i++) {\n\t\tuint64_t from = MX_CLOCK();\n\t\tmemcpy(p + (i & 1 ? n : 0), p + (i & 1 "
    "? 0 : n), n);\n"
    "\t\tdouble gb = 2e-9 * (double)n / ((double)(MX_CLOCK() - from) / MX_CLOCK_HZ);\n\t\tif (gb > best) best = "
    "gb;\n\t}\n\tfree(p);\n\treturn best;\n}\n"
    "#define MX_TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)\n#define MX_BEGIN(i) mx_wide s##i = b;\n"
    "#define MX_STEP(i) s##i = s##i * a + b;\n#define MX_END(i) b += s##i;\n"
    "static double mx_gflops(void)\n{\n\tvolatile float one = 1, step = 1e-9f;\n\tmx_wide a = (mx_wide){0} + one, b = (mx_wide){0} + "
    "step;\n"
    "\tdouble best = 0;\n\tMX_TWELVE(MX_BEGIN)\n\tfor (int t = 0; t < 8; t++) {\n\t\tuint64_t from = MX_CLOCK();\n"
    "\t\tfor (int k = 0; k < 50000; k++) {\n\t\t\tMX_TWELVE(MX_STEP)\n\t\t}\n"
    "\t\tdouble gf = 1e-9 * 2 * 12 * 50000 * (MX_WIDE / 4) / ((double)(MX_CLOCK() - from) / MX_CLOCK_HZ);\n\t\tif (gf > best) best = "
    "gf;\n\t}\n"
    "\tMX_TWELVE(MX_END)\n\tone = b[0];\n\treturn best;\n}\n"
    "size_t mx_profile_show(char *text, size_t room)\n{\n\treturn run_profile_report((const run_profile *)mx_profile, mx_gbytes(), "
    "mx_gflops(), text, "
    "room);\n}\n";

const char *profile_wrapper(void)
{
	return text;
}

/* The arguments that a call overwrites, kept. */
static Tensor *copy_of(Session *s, const Tensor *t)
{
	Tensor *c = tensor_new(s->arena, t->dtype, t->rank, t->shape);
	memcpy(c->data, t->data, tensor_bytes(t));
	return c;
}

static int call_again(Session *s, Native *l, const Signature *g, Tensor *const *args, Tensor *const *kept, const DimEnv *env,
                      Tensor **results)
{
	for (int i = 0; i < g->nout; i++)
		if (g->alias[i] >= 0) memcpy(args[g->alias[i]]->data, kept[g->alias[i]]->data, tensor_bytes(args[g->alias[i]]));
	return native_call(s, l, 0, args, env, results);
}

int profile_calls(Session *s, Native *l, const Signature *g, Tensor *const *args, const DimEnv *env, Tensor **results)
{
	void *handle = native_handle(l);
	void **counts = dlsym(handle, "mx_profile");
	size_t (*bytes)(void), (*show)(char *, size_t);
	*(void **)&bytes = dlsym(handle, "mx_profile_bytes");
	*(void **)&show = dlsym(handle, "mx_profile_show");
	Tensor **kept = NEW_ARRAY(s->arena, Tensor *, g->nin + 1);
	for (int i = 0; i < g->nin; i++) kept[i] = copy_of(s, args[i]);
	void *profile = arena_alloc(s->arena, bytes());
	memset(profile, 0, bytes());
	for (int i = 0; i <= s->o->calls; i++) {
		*counts = i ? profile : NULL; /* the first finds cold caches and new pages */
		int code = call_again(s, l, g, args, kept, env, results);
		if (code) return code;
	}
	*counts = profile;
	enum { ROOM = 1 << 20 };
	char *table = arena_alloc(s->arena, ROOM);
	show(table, ROOM);
	fputs(table, stdout);
	return 0;
}
