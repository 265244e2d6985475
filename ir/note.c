/* See note.h. */
#include "note.h"
#include <stdarg.h>
#include <string.h>

void note_add(Arena *a, Notes *n, Loc loc, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	for (int i = 0; i < n->n; i++)
		if (n->at[i].loc.file == loc.file && n->at[i].loc.begin == loc.begin && !strcmp(n->at[i].text, text)) return;
	VEC_PUSH(a, *n, ((Note){text, loc}));
}

Notes notes_copy(Arena *a, const Notes *n)
{
	Notes y = {0};
	for (int i = 0; i < n->n; i++) VEC_PUSH(a, y, n->at[i]);
	return y;
}
