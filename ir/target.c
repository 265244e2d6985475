/* Rows of targets.def: by name, by what this machine has, and what their C compiler defines. */
#include "target.h"
#include <string.h>

const Target targets[] = {
#define TARGET(name, arch, lanes, flags, macros, row_stack, kernel_stack, scratch, winograd, doc)                                          \
	{name, arch, lanes, flags, macros, row_stack, kernel_stack, scratch, winograd, doc},
#include "targets.def"
};
const int ntargets = (int)(sizeof targets / sizeof *targets);

const Target *target_find(const char *name)
{
	for (int i = 0; i < ntargets; i++)
		if (!strcmp(targets[i].name, name)) return &targets[i];
	return NULL;
}

const Target *target_any(void)
{
	return &targets[0];
}

/* x86: what the processor says, and whether the system saves its registers. */
static bool has_features(const Target *t)
{
#if defined __x86_64__ || defined __i386__
	if (t->lanes == 16)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
		       __builtin_cpu_supports("avx512vl");
	if (t->lanes == 8) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	return __builtin_cpu_supports("sse2");
#else
	(void)t;
	return true;
#endif
}

bool target_runs_here(const Target *t)
{
#if defined __x86_64__ || defined __i386__
	static const char arch[] = "x86";
#elif defined __aarch64__
	static const char arch[] = "arm";
#else
	static const char arch[] = "";
#endif
	if (!strcmp(t->arch, "any")) return true;
	return !strcmp(t->arch, arch) && has_features(t);
}

const Target *target_native(void)
{
	const Target *best = target_find("generic");
	for (int i = 0; i < ntargets; i++)
		if (targets[i].lanes > best->lanes && target_runs_here(&targets[i])) best = &targets[i];
	return best;
}

bool target_has_word(const char *list, const char *word, size_t n)
{
	while (*list) {
		size_t k = strcspn(list, " ");
		if (k == n && !memcmp(list, word, n)) return true;
		list += k;
		list += *list == ' ';
	}
	return false;
}

int target_defines(const Target *t, const char *macro, size_t n)
{
	static const char own[] = "MLXCC_SCALAR"; /* asks for width 1, which a target has or has not */
	if (n == sizeof own - 1 && !memcmp(macro, own, n)) return 0;
	if (n == 8 && !memcmp(macro, "__GNUC__", n)) return t->lanes > 1 ? 1 : -1;
	if (target_has_word(t->macros, macro, n)) return 1;
	for (int i = 0; i < ntargets; i++)
		if (target_has_word(targets[i].macros, macro, n)) return 0;
	return -1;
}
