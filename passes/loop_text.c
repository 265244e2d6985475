/* loop.def as data, and what its syntaxes mean: see loop_text.h. */
#include "loop_text.h"
#include <assert.h>
#include <stddef.h>
#include <string.h>

static const FieldRow fields[] = {
#define FIELD(struct_, name, kind, member, count)                                                                                          \
	{LS_##struct_,                                                                                                                         \
	 #name,                                                                                                                                \
	 FK_##kind,                                                                                                                            \
	 offsetof(struct_, member),                                                                                                            \
	 sizeof(((struct_ *)0)->member),                                                                                                       \
	 offsetof(struct_, count),                                                                                                             \
	 sizeof(((struct_ *)0)->count)},
#include "loop.def"
};

const char *const loop_syntax[LS_COUNT] = {
#define SYNTAX(struct_, text) [LS_##struct_] = text,
#include "loop.def"
};

const KindRow loop_nodes[N_COUNT] = {
#define NODE(kind, word, gives, text, doc) {#word, GIVES_##gives, text, doc},
#include "loop.def"
};
const KindRow loop_steps[STEP_COUNT] = {
#define STEP(kind, word, text, doc) {#word, GIVES_NONE, text, doc},
#include "loop.def"
};
const KindRow loop_bufs[] = {
#define BUF(space, word, text, doc) {#word, GIVES_NONE, text, doc},
#include "loop.def"
};
const KindRow loop_raws[] = {
#define RAW(word, gives, writes, scratch, cut, flops, text, doc)                                                                           \
	{#word, GIVES_##gives, text, doc, RAW_WRITES_##writes, RAW_SCRATCH_##scratch, RAW_CUT_##cut, RAW_FLOPS_##flops},
#include "loop.def"
};
const int nloop_bufs = (int)(sizeof loop_bufs / sizeof *loop_bufs), nloop_raws = (int)(sizeof loop_raws / sizeof *loop_raws);

const KindRow *loop_node_row(const Node *n)
{
	if (n->kind != N_RAW) return &loop_nodes[n->kind];
	for (int i = 0; i < nloop_raws; i++)
		if (!strcmp(loop_raws[i].word, n->mode)) return &loop_raws[i];
	return NULL;
}

bool node_gives(const Node *n)
{
	const KindRow *r = loop_node_row(n);
	return r && (r->gives == GIVES_MAYBE ? n->body && n->body->result : r->gives == GIVES_VALUE);
}

static const FieldRow *find_field(LoopStruct of, const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (fields[i].of == of && strlen(fields[i].name) == n && !memcmp(fields[i].name, name, n)) return &fields[i];
	assert(!"a syntax of loop.def names no field");
	return NULL;
}

bool syntax_next(LoopStruct of, const char **p, const char *end, SyntaxItem *out)
{
	if (*p >= end) return false;
	const char *s = *p;
	if (*s == '{') {
		const char *close = memchr(s, '}', (size_t)(end - s));
		*out = (SyntaxItem){.kind = SYNTAX_FIELD, .field = find_field(of, s + 1, (size_t)(close - s - 1))};
		*p = close + 1;
		return true;
	}
	if (*s == '[') {
		int depth = 0;
		const char *close = s;
		do depth += (*close == '[') - (*close == ']');
		while (depth && ++close < end);
		*out = (SyntaxItem){.kind = SYNTAX_GROUP, .inside = s + 1, .n = (size_t)(close - s - 1)};
		*p = close + 1;
		return true;
	}
	*out = (SyntaxItem){.kind = SYNTAX_CHAR, .c = *s};
	*p = s + 1;
	return true;
}

int64_t field_int(const void *object, size_t at, size_t size)
{
	const char *p = (const char *)object + at;
	return size == 1 ? *(const bool *)p : size == 4 ? *(const int32_t *)p : *(const int64_t *)p;
}

void field_set_int(void *object, size_t at, size_t size, int64_t n)
{
	char *p = (char *)object + at;
	if (size == 1) *(bool *)p = n != 0;
	else if (size == 4) *(int32_t *)p = (int32_t)n;
	else *(int64_t *)p = n;
}

bool field_present(const FieldRow *f, const void *object)
{
	switch (f->kind) {
	case FK_FLAG:
	case FK_INT: return field_int(object, f->at, f->size) != 0;
	case FK_OP:
	case FK_SCALAR: return true;
	case FK_LOC: return FIELD_AT(const Loc, object, f).file != 0;
	case FK_STEPS: return FIELD_AT(const StepList, object, f).n != 0;
	case FK_NAMES: return FIELD_AT(const StepList, object, f).n != 0; /* any VEC */
	case FK_LOOP: return true;
	case FK_AXES:
	case FK_ARGS:
	case FK_NUMBERS:
	case FK_BUFS:
	case FK_POSITION:
	case FK_ACCESS:
	case FK_ROW:
	case FK_STAGES: return field_int(object, f->count_at, f->count_size) != 0;
	default: return FIELD_AT(const void *const, object, f) != NULL;
	}
}

bool syntax_has(const FieldRow *f, const char *text)
{
	size_t n = strlen(f->name);
	for (const char *s = strchr(text, '{'); s; s = strchr(s + 1, '{'))
		if (!strncmp(s + 1, f->name, n) && s[1 + n] == '}') return true;
	return false;
}
