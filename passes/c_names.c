/* The words that C, C++ and the headers of emitted C keep for themselves. A name that is one of them, with any number of "_" after it, gets
 * one more "_": `new` becomes new_, new_ becomes new__, so that no two names meet. */
#include "c_names.h"
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Keywords of C99 to C23 and C++, alternative tokens, and object-like macros: free nowhere. */
static const char *const words[] = {"_Bool",
                                    "_Complex",
                                    "_Imaginary",
                                    "alignas",
                                    "alignof",
                                    "and",
                                    "and_eq",
                                    "asm",
                                    "auto",
                                    "bitand",
                                    "bitor",
                                    "bool",
                                    "break",
                                    "case",
                                    "catch",
                                    "char",
                                    "char16_t",
                                    "char32_t",
                                    "char8_t",
                                    "class",
                                    "compl",
                                    "concept",
                                    "const",
                                    "const_cast",
                                    "consteval",
                                    "constexpr",
                                    "constinit",
                                    "continue",
                                    "co_await",
                                    "co_return",
                                    "co_yield",
                                    "decltype",
                                    "default",
                                    "delete",
                                    "do",
                                    "double",
                                    "dynamic_cast",
                                    "else",
                                    "enum",
                                    "errno",
                                    "explicit",
                                    "export",
                                    "extern",
                                    "false",
                                    "float",
                                    "for",
                                    "friend",
                                    "goto",
                                    "if",
                                    "inline",
                                    "int",
                                    "linux",
                                    "long",
                                    "math_errhandling",
                                    "mutable",
                                    "namespace",
                                    "new",
                                    "noexcept",
                                    "not",
                                    "not_eq",
                                    "nullptr",
                                    "operator",
                                    "or",
                                    "or_eq",
                                    "private",
                                    "protected",
                                    "public",
                                    "register",
                                    "reinterpret_cast",
                                    "requires",
                                    "restrict",
                                    "return",
                                    "short",
                                    "signed",
                                    "sizeof",
                                    "static",
                                    "static_assert",
                                    "static_cast",
                                    "struct",
                                    "switch",
                                    "template",
                                    "this",
                                    "thread_local",
                                    "throw",
                                    "true",
                                    "try",
                                    "typedef",
                                    "typeid",
                                    "typename",
                                    "typeof",
                                    "union",
                                    "unix",
                                    "unsigned",
                                    "using",
                                    "virtual",
                                    "void",
                                    "volatile",
                                    "wchar_t",
                                    "while",
                                    "xor",
                                    "xor_eq"};

/* Functions and types of the headers that emitted code uses by name: a variable of that name would hide them. */
static const char *const used[] = {
    "acos",      "acosh",     "asin",     "asinh",      "atan",     "atan2", "atanh",  "cbrt",     "ceil",    "copysign", "cos",
    "cosh",      "erf",       "erfc",     "exp",        "exp2",     "expm1", "fabs",   "floor",    "fma",     "fmax",     "fmin",
    "fmod",      "frexp",     "hypot",    "ldexp",      "lgamma",   "log",   "log10",  "log1p",    "log2",    "logb",     "modf",
    "nearbyint", "nextafter", "pow",      "remainder",  "rint",     "round", "scalbn", "sin",      "sinh",    "sqrt",     "tan",
    "tanh",      "tgamma",    "trunc",    "fpclassify", "isfinite", "isinf", "isnan",  "isnormal", "signbit", "memcmp",   "memcpy",
    "memmove",   "memset",    "offsetof", "ptrdiff_t",  "size_t",   "arena"};

static bool listed(const char *const *list, size_t count, const char *s, size_t n)
{
	for (size_t i = 0; i < count; i++)
		if (!strncmp(list[i], s, n) && !list[i][n]) return true;
	return false;
}

/* NULL, NAN, INT32_MAX: capitals only. They are macros when they come from the headers, which define too many to list. */
static bool is_macro(const char *s, size_t n)
{
	static const char *const single[] = {"NULL", "NAN", "INFINITY"};
	static const char *const begin[] = {"INT",      "UINT", "PTRDIFF_M", "SIZE_M", "SIG_ATOMIC_M", "WCHAR_M", "WINT_M",
	                                    "HUGE_VAL", "FP_",  "MATH_ERR",  "M_",     "MLXCC_",       "MX_"};
	if (listed(single, sizeof single / sizeof *single, s, n)) return true;
	for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
		if (!strncmp(s, begin[i], strlen(begin[i])) && strchr(s, '_')) return true;
	return n >= 8 && !strncmp(s, "HUGE_VAL", 8);
}

static bool is_word(const char *s, size_t n)
{
	return listed(words, sizeof words / sizeof *words, s, n) || is_macro(s, n);
}

static bool is_used(const char *s, size_t n)
{
	size_t count = sizeof used / sizeof *used;
	if (listed(used, count, s, n) || !strncmp(s, "mx_", 3)) return true;
	if (n > 2 && !strncmp(s + n - 2, "_t", 2) && (!strncmp(s, "int", 3) || !strncmp(s, "uint", 4))) return true;
	return n > 1 && (s[n - 1] == 'f' || s[n - 1] == 'l') && listed(used, count, s, n - 1);
}

static size_t stem(const char *s)
{
	size_t n = strlen(s);
	while (n && s[n - 1] == '_') n--;
	return n;
}

static const char *changed(Arena *a, const char *name, bool yes)
{
	if (isdigit((unsigned char)*name)) return arena_printf(a, "_%s", name);
	return yes ? arena_printf(a, "%s_", name) : name;
}

const char *c_member_name(Arena *a, const char *name)
{
	return changed(a, name, is_word(name, stem(name)));
}

const char *c_variable_name(Arena *a, const char *name)
{
	size_t n = stem(name);
	return changed(a, name, is_word(name, n) || is_used(name, n));
}
