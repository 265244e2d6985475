/* Places in IR text: loc("digits.mx":17:10-24), or :17:10-19:3 over several lines.
 *
 * A Loc is a byte range of a registered file. Where the file is registered already (a pass's output read back) the range is found in
 * its text. Where it is not (IR from a file), a text of blanks that has the lines and columns used stands in for it: messages then name
 * the right line and column, and printing gives the same text again.
 */
#include <string.h>
#include "read.h"

#define MAX_LINE (1 << 20)
#define MAX_COL (1 << 16)
#define MAX_STAND_IN (64 << 20)

typedef struct LocFile {
	const char *name;
	uint32_t file;
	VEC(int) width;      /* columns used in each line */
	VEC(uint32_t) start; /* byte offset of each line */
	const char *text;
	size_t size;
} LocFile;
struct LocFiles {
	VEC(LocFile *) files;
};

typedef struct Place {
	const char *name;
	int64_t line, col, end_line, end_col;
} Place;

static bool place_ok(int64_t line, int64_t col)
{
	return line >= 1 && line <= MAX_LINE && col >= 1 && col <= MAX_COL;
}

/* loc has been read. */
static bool read_place(Reader *r, Place *q)
{
	const char *at = r->p;
	if (!read_expect(r, '(', "after `loc`") || !read_string(r, &q->name) || !read_expect(r, ':', "after the file") ||
	    !read_int(r, &q->line) || !read_expect(r, ':', "after the line") || !read_int(r, &q->col) ||
	    !read_expect(r, '-', "after the column") || !read_int(r, &q->end_col))
		return false;
	q->end_line = q->line;
	if (read_accept(r, ':')) {
		q->end_line = q->end_col;
		if (!read_int(r, &q->end_col)) return false;
	}
	if (!read_expect(r, ')', "after the place")) return false;
	bool ordered = q->end_line > q->line || (q->end_line == q->line && q->end_col >= q->col);
	if (!place_ok(q->line, q->col) || !place_ok(q->end_line, q->end_col) || !ordered) return read_fail(r, at, "no such place in a file");
	return true;
}

static LocFile *loc_file(Reader *r, const char *name)
{
	for (int i = 0; i < r->locs->files.n; i++)
		if (r->locs->files.at[i]->name == name) return r->locs->files.at[i];
	LocFile *f = NEW(r->arena, LocFile);
	f->name = name;
	VEC_PUSH(r->arena, r->locs->files, f);
	return f;
}

static void widen(Reader *r, LocFile *f, int64_t line, int64_t col)
{
	while (f->width.n < line) VEC_PUSH(r->arena, f->width, 0);
	if (f->width.at[line - 1] < col - 1) f->width.at[line - 1] = (int)col - 1;
}

static void index_lines(Reader *r, LocFile *f)
{
	f->start.n = 0;
	VEC_PUSH(r->arena, f->start, 0);
	for (size_t i = 0; i < f->size; i++)
		if (f->text[i] == '\n') VEC_PUSH(r->arena, f->start, (uint32_t)i + 1);
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

/* The byte at which column col (1-based, in characters) of the line begins; false where the line is shorter. */
static bool place_offset(const LocFile *f, int64_t line, int64_t col, uint32_t *out)
{
	if (line > f->start.n) return false;
	size_t i = f->start.at[line - 1];
	for (int64_t k = 1; k < col; k++) {
		if (i >= f->size || f->text[i] == '\n') return false;
		for (i++; i < f->size && is_continuation(f->text[i]);) i++;
	}
	*out = (uint32_t)i;
	return true;
}

static bool fits_registered(Reader *r, LocFile *f, uint32_t file)
{
	uint32_t offset;
	f->text = diag_file_text(r->diag, file, &f->size);
	index_lines(r, f);
	for (int i = 0; i < f->width.n; i++)
		if (f->width.at[i] && !place_offset(f, i + 1, f->width.at[i] + 1, &offset)) return false;
	return f->width.n <= f->start.n;
}

static bool stand_in(Reader *r, LocFile *f)
{
	size_t n = 0;
	for (int i = 0; i < f->width.n; i++) n += (size_t)f->width.at[i] + 1;
	if (n > MAX_STAND_IN) return read_fail(r, r->p, "the places in \"%s\" span too much text", f->name);
	char *text = arena_alloc(r->arena, n + 1), *c = text;
	for (int i = 0; i < f->width.n; i++) {
		memset(c, ' ', (size_t)f->width.at[i]);
		c += f->width.at[i];
		*c++ = '\n';
	}
	f->file = diag_add_file(r->diag, f->name, text, n);
	f->text = diag_file_text(r->diag, f->file, &f->size);
	index_lines(r, f);
	return true;
}

static bool settle_file(Reader *r, LocFile *f)
{
	for (uint32_t k = 1; diag_file_name(r->diag, k); k++) {
		if (k == r->file || strcmp(diag_file_name(r->diag, k), f->name) != 0 || !fits_registered(r, f, k)) continue;
		f->file = k;
		return true;
	}
	return stand_in(r, f);
}

/* Texts and comments are skipped; errors in a place are reported here, once. */
bool read_all_locs(Reader *r)
{
	const char *begin = r->p;
	r->locs = NEW(r->arena, struct LocFiles);
	while (r->p < r->end && !r->failed) {
		read_space(r);
		const char *ignored;
		Place q;
		if (r->p < r->end && *r->p == '"') read_string(r, &ignored);
		else if (read_word(r, "loc") && *r->p == '(') {
			if (!read_place(r, &q)) break;
			widen(r, loc_file(r, q.name), q.line, q.col);
			widen(r, loc_file(r, q.name), q.end_line, q.end_col);
		} else if (r->p < r->end && ir_name_char(*r->p))
			while (r->p < r->end && ir_name_char(*r->p)) r->p++;
		else if (r->p < r->end) r->p++;
	}
	for (int i = 0; i < r->locs->files.n && !r->failed; i++) settle_file(r, r->locs->files.at[i]);
	r->p = begin;
	return !r->failed;
}

bool read_loc(Reader *r, Loc *out)
{
	Place q;
	const char *at = r->p;
	if (!read_place(r, &q)) return false;
	LocFile *f = loc_file(r, q.name);
	out->file = f->file;
	if (!place_offset(f, q.line, q.col, &out->begin) || !place_offset(f, q.end_line, q.end_col, &out->end))
		return read_fail(r, at, "no such place in the file");
	return true;
}
