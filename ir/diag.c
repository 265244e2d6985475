/* Diagnostics: collected in order, printed with the source line and a caret range. */
#include "diag.h"
#include <string.h>

typedef struct SourceFile { const char *name, *text; size_t n; uint32_t *line_start; int nlines; } SourceFile;
typedef struct Message { DiagClass cls; Loc loc; const char *label, *text; StrBuf attached; bool printed; } Message;

struct Diag {
	Arena *arena;
	FILE *out;
	VEC(SourceFile) files;
	VEC(Message) messages;
	int count[4];
	bool said_too_many, muted;
	bool last_dropped;             /* notes of a message that was dropped are dropped too */
};
enum { MAX_ERRORS = 20 };

Diag *diag_new(Arena *a, FILE *out)
{
	Diag *d = NEW(a, Diag);
	d->arena = a;
	d->out = out;
	return d;
}

uint32_t diag_add_file(Diag *d, const char *name, const char *text, size_t n)
{
	SourceFile f = {arena_strdup(d->arena, name), arena_strndup(d->arena, text, n), n, NULL, 0};
	VEC(uint32_t) start = {0};
	VEC_PUSH(d->arena, start, 0);
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\n') VEC_PUSH(d->arena, start, (uint32_t)i + 1);
	f.line_start = start.at;
	f.nlines = start.n;
	VEC_PUSH(d->arena, d->files, f);
	return (uint32_t)d->files.n;
}

static const SourceFile *find_file(const Diag *d, uint32_t file)
{
	return file >= 1 && file <= (uint32_t)d->files.n ? &d->files.at[file - 1] : NULL;
}

const char *diag_file_name(const Diag *d, uint32_t file)
{
	const SourceFile *f = find_file(d, file);
	return f ? f->name : NULL;
}

const char *diag_file_text(const Diag *d, uint32_t file, size_t *n)
{
	const SourceFile *f = find_file(d, file);
	if (n) *n = f ? f->n : 0;
	return f ? f->text : NULL;
}

static int line_of(const SourceFile *f, uint32_t offset)
{
	int lo = 0, hi = f->nlines - 1;
	while (lo < hi) {
		int mid = (lo + hi + 1) / 2;
		if (f->line_start[mid] <= offset) lo = mid;
		else hi = mid - 1;
	}
	return lo;
}

/* Characters (UTF-8 sequences) in text[from..to). */
static int characters(const char *text, uint32_t from, uint32_t to)
{
	int n = 0;
	for (uint32_t i = from; i < to; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

void diag_line_col(const Diag *d, uint32_t file, uint32_t offset, int *line, int *col)
{
	const SourceFile *f = find_file(d, file);
	*line = *col = 0;
	if (!f) return;
	if (offset > f->n) offset = (uint32_t)f->n;
	int l = line_of(f, offset);
	*line = l + 1;
	*col = characters(f->text, f->line_start[l], offset) + 1;
}

static const char *const class_name[] = {"error", "warning", "limitation", "bug in mlxcc"};

/* The source line and the caret range below it; tabs are kept so that carets line up. */
static void put_source(Diag *d, StrBuf *b, Loc loc)
{
	const SourceFile *f = find_file(d, loc.file);
	if (!f || !f->n) return;
	if (loc.begin > f->n) loc.begin = (uint32_t)f->n;
	int l = line_of(f, loc.begin);
	uint32_t start = f->line_start[l], end = start;
	while (end < f->n && f->text[end] != '\n') end++;
	if (end > start && f->text[end - 1] == '\r') end--;
	uint32_t stop = loc.end < end ? loc.end : end;
	if (end - start > 400) return;
	sb_printf(b, "%5d | ", l + 1);
	for (uint32_t i = start; i < end; i++) {
		unsigned char c = (unsigned char)f->text[i];
		sb_putc(b, c < 32 && c != '\t' ? '?' : (char)c);
	}
	sb_put(b, "\n      | ");
	for (uint32_t i = start; i < loc.begin && i < end; i++)
		if (((unsigned char)f->text[i] & 0xc0) != 0x80) sb_putc(b, f->text[i] == '\t' ? '\t' : ' ');
	int width = stop > loc.begin ? characters(f->text, loc.begin, stop) : 0;
	sb_putc(b, '^');
	for (int i = 1; i < width; i++) sb_putc(b, '~');
	sb_putc(b, '\n');
}

static void put_place(Diag *d, StrBuf *b, Loc loc)
{
	int line, col;
	const char *name = diag_file_name(d, loc.file);
	if (!name) {
		sb_put(b, "mlxcc: ");
		return;
	}
	diag_line_col(d, loc.file, loc.begin, &line, &col);
	sb_printf(b, "%s:%d:%d: ", name, line, col);
}

static void put_message(Diag *d, StrBuf *b, Message *m)
{
	put_place(d, b, m->loc);
	sb_put(b, class_name[m->cls]);
	if (m->label) sb_printf(b, "[%s]", m->label);
	sb_printf(b, ": %s\n", m->text);
	put_source(d, b, m->loc);
	sb_put(b, sb_text(&m->attached));
}

void diag_flush(Diag *d)
{
	for (int i = 0; i < d->messages.n; i++) {
		Message *m = &d->messages.at[i];
		if (m->printed || !d->out) continue;
		StrBuf b;
		sb_init(&b, d->arena);
		put_message(d, &b, m);
		fputs(sb_text(&b), d->out);
		m->printed = true;
	}
	if (d->out) fflush(d->out);
}

static bool same(const Message *m, DiagClass c, Loc loc, const char *text)
{
	return m->cls == c && m->loc.file == loc.file && m->loc.begin == loc.begin && m->loc.end == loc.end && !strcmp(m->text, text);
}

bool diag_mute(Diag *d, bool muted)
{
	bool before = d->muted;
	d->muted = muted;
	return before;
}

void diag_v(Diag *d, DiagClass c, Loc loc, const char *label, const char *fmt, va_list ap)
{
	d->last_dropped = true;
	if (d->muted && c != DIAG_BUG) return;
	char *text = arena_vprintf(d->arena, fmt, ap);
	for (int i = 0; i < d->messages.n; i++)
		if (same(&d->messages.at[i], c, loc, text)) return;
	diag_flush(d);
	d->count[c]++;
	if (c == DIAG_ERROR && d->count[c] > MAX_ERRORS) {
		if (d->said_too_many) return;
		d->said_too_many = true;
		text = arena_strdup(d->arena, "too many errors: the rest is not shown");
		loc = NO_LOC;
		label = NULL;
	}
	d->last_dropped = false;
	Message m = {c, loc, label ? arena_strdup(d->arena, label) : NULL, text, {0}, false};
	sb_init(&m.attached, d->arena);
	VEC_PUSH(d->arena, d->messages, m);
}

void diag(Diag *d, DiagClass c, Loc loc, const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_v(d, c, loc, label, fmt, ap);
	va_end(ap);
}

void diag_note(Diag *d, Loc loc, const char *fmt, ...)
{
	if (d->last_dropped || !d->messages.n) return;
	StrBuf *b = &d->messages.at[d->messages.n - 1].attached;
	va_list ap;
	va_start(ap, fmt);
	if (loc.file) put_place(d, b, loc);
	sb_put(b, "note: ");
	sb_vprintf(b, fmt, ap);
	sb_putc(b, '\n');
	put_source(d, b, loc);
	va_end(ap);
}

void diag_help(Diag *d, const char *fmt, ...)
{
	if (d->last_dropped || !d->messages.n) return;
	StrBuf *b = &d->messages.at[d->messages.n - 1].attached;
	va_list ap;
	va_start(ap, fmt);
	sb_put(b, "help: ");
	sb_vprintf(b, fmt, ap);
	sb_putc(b, '\n');
	va_end(ap);
}

int diag_count(const Diag *d, DiagClass c) { return d->count[c]; }

int diag_exit_code(const Diag *d)
{
	return d->count[DIAG_BUG] ? 70 : d->count[DIAG_ERROR] ? 1 : d->count[DIAG_LIMITATION] ? 2 : 0;
}

const char *diag_text(Diag *d)
{
	StrBuf b;
	sb_init(&b, d->arena);
	for (int i = 0; i < d->messages.n; i++) put_message(d, &b, &d->messages.at[i]);
	return sb_text(&b);
}

/* Edit distance with transpositions (Damerau, optimal string alignment), at most 63 characters. */
static int distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	if (n > 63 || m > 63) return 99;
	int row[3][64] = {{0}};
	for (size_t j = 0; j <= m; j++) row[0][j] = (int)j;
	for (size_t i = 1; i <= n; i++) {
		int *cur = row[i % 3], *prev = row[(i - 1) % 3], *before = row[(i + 1) % 3];
		cur[0] = (int)i;
		for (size_t j = 1; j <= m; j++) {
			int best = prev[j - 1] + (a[i - 1] != b[j - 1]);
			if (prev[j] + 1 < best) best = prev[j] + 1;
			if (cur[j - 1] + 1 < best) best = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best) best = before[j - 2] + 1;
			cur[j] = best;
		}
	}
	return row[n % 3][m];
}

const char *diag_suggest(const char *name, const char *const *candidates, int n)
{
	const char *best = NULL;
	int limit = ((int)strlen(name) + 2) / 3 + 1;
	for (int i = 0; i < n; i++) {
		if (!candidates[i]) continue;
		int d = distance(name, candidates[i]);
		if (d > 0 && d < limit) {
			limit = d;
			best = candidates[i];
		}
	}
	return best;
}
