/* Which composite functions a kernel stands for, and how its operands lie in memory: see composite.h. */
#include <ctype.h>
#include <string.h>
#include "composite.h"

#define COMPOSITE(name, doc)                                                                                                               \
	bool matches_##name(const Func *f);                                                                                                    \
	void lower_composite_##name(Lower *L, Op *call, Buf *out);
#include "composites.def"
#undef COMPOSITE

static const CompositeKernel kernels[] = {
#define COMPOSITE(name, doc) {#name, doc, matches_##name, lower_composite_##name},
#include "composites.def"
#undef COMPOSITE
};

const CompositeKernel *composite_kernel(const Func *f)
{
	size_t n = f->composite ? strcspn(f->composite, "(") : 0;
	if (!n || f->composite[strlen(f->composite) - 1] != ')') return NULL; /* a derived function has its own name behind it */
	for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
		if (strlen(kernels[i].name) == n && !memcmp(kernels[i].name, f->composite, n) && f->body->nresult == 1 && kernels[i].matches(f))
			return &kernels[i];
	return NULL;
}

/* The next argument after *p: its name, and its value (NULL: a tensor). */
static bool next_argument(const char **p, const char **name, size_t *n, const char **value, size_t *nvalue)
{
	const char *s = *p;
	while (*s == '(' || *s == ',' || *s == ' ') s++;
	if (!*s || *s == ')') return false;
	*name = s;
	while (isalnum((unsigned char)*s) || *s == '_') s++;
	*n = (size_t)(s - *name);
	*value = NULL;
	if (*s == '=') {
		*value = ++s;
		s += strcspn(s, ",)");
		*nvalue = (size_t)(s - *value);
	}
	*p = s;
	return *s == ',' || *s == ')';
}

const char *composite_value(const Func *f, const char *argument, size_t *n)
{
	const char *p = strchr(f->composite, '('), *name, *value;
	size_t nname;
	while (next_argument(&p, &name, &nname, &value, n))
		if (value && strlen(argument) == nname && !memcmp(argument, name, nname)) return value;
	return NULL;
}

bool composite_is(const Func *f, const char *argument, const char *text)
{
	size_t n;
	const char *v = composite_value(f, argument, &n);
	return v && strlen(text) == n && !memcmp(v, text, n);
}

int composite_tensor(const Func *f, const char *argument)
{
	const char *p = strchr(f->composite, '('), *name, *value;
	size_t nname, n;
	int k = 0;
	while (next_argument(&p, &name, &nname, &value, &n)) {
		if (value) continue;
		if (strlen(argument) == nname && !memcmp(argument, name, nname)) return k < f->body->nparam ? k : -1;
		k++;
	}
	return -1;
}

static bool is_row_view(const Value *v)
{
	if (!v->def || v->def->code != OP_transpose) return false;
	const Attr *perm = op_attr(v->def, AT_perm);
	return perm->n > 0 && perm->v.ints[perm->n - 1] == perm->n - 1;
}

bool composite_reads_view(const Op *user, const Value *v)
{
	bool view = v->def && (v->def->code == OP_reshape || is_row_view(v));
	return user->code == OP_call && view && composite_kernel(op_attr(user, AT_func)->v.func);
}

Buf *composite_operand(Lower *L, Value *v, Dim *stride)
{
	Value *base = v;
	const Attr *perm = NULL;
	if (!lower_info(L, v)->buf && is_row_view(v)) {
		perm = op_attr(v->def, AT_perm);
		base = v->def->in[0];
	}
	Dim apart[MAX_RANK], at = dim_int(L->dims, 1);
	for (int i = base->type->rank - 1; i >= 0; i--) {
		apart[i] = at;
		at = dim_mul(L->dims, at, base->type->dim[i]);
	}
	for (int i = 0; i < base->type->rank; i++) stride[i] = apart[perm ? perm->v.ints[i] : i];
	/* another shape of the same elements */
	if (!lower_info(L, base)->buf && base->def && base->def->code == OP_reshape) base = base->def->in[0];
	return lower_value_buf(L, base);
}
