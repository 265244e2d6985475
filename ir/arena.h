/* Memory with a named lifetime.
 *
 * Everything that the compiler makes lives in an Arena and dies with it; nothing
 * is freed singly. One arena per compilation holds the IR; passes use scratch
 * arenas that the pass driver resets. A hard limit turns runaway growth into a
 * clean error instead of a dead machine.
 */
#ifndef MLXCC_IR_ARENA_H
#define MLXCC_IR_ARENA_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Arena Arena;

/* limit_bytes 0: no limit. When the limit or the system's memory is exhausted,
 * on_exhausted(ctx) is called; it must not return (longjmp or exit). NULL: print and exit(1). */
Arena *arena_new(size_t limit_bytes, void (*on_exhausted)(void *ctx), void *ctx);
/* Scratch memory that counts toward the limit of a's family. It can be freed by itself; what is left goes with the family's root. */
Arena *arena_child(Arena *a);
void arena_free(Arena *a);                          /* NULL is fine */
void *arena_alloc(Arena *a, size_t bytes);          /* zeroed, aligned to 16; bytes 0 gives a unique pointer */
size_t arena_used(const Arena *a);                  /* bytes handed out since creation */
typedef struct ArenaMark { void *chunk; size_t used; } ArenaMark;
ArenaMark arena_mark(Arena *a);
void arena_reset(Arena *a, ArenaMark m);            /* forget what was allocated since m */
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_strdup(Arena *a, const char *s);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);
void *arena_copy(Arena *a, const void *p, size_t bytes);

#define NEW(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define NEW_ARRAY(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (size_t)(n)))

/* Growable array in an arena: VEC_PUSH(arena, v, item) where v has fields .at .n .cap */
#define VEC(T) struct { T *at; int n, cap; }
void *vec_grow(Arena *a, void *at, int n, int *cap, size_t item);
#define VEC_PUSH(a, v, x)                                                                   \
	do {                                                                                    \
		if ((v).n == (v).cap) (v).at = vec_grow((a), (v).at, (v).n, &(v).cap, sizeof *(v).at); \
		(v).at[(v).n++] = (x);                                                              \
	} while (0)

/* Growable text. sb_text() stays valid until the next append. Memory from the arena. */
typedef struct StrBuf { Arena *arena; char *at; size_t n, cap; } StrBuf;
void sb_init(StrBuf *b, Arena *a);
void sb_put(StrBuf *b, const char *s);
void sb_putn(StrBuf *b, const char *s, size_t n);
void sb_putc(StrBuf *b, char c);
void sb_printf(StrBuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sb_vprintf(StrBuf *b, const char *fmt, va_list ap);
const char *sb_text(StrBuf *b);

/* Pointer-keyed and string-keyed maps (open addressing; iteration is not offered, so
 * nothing can depend on hash order). */
typedef struct Map { Arena *arena; struct MapSlot *slots; int n, cap; } Map;
void map_init(Map *m, Arena *a);
void *map_get(const Map *m, const void *key);       /* NULL when missing */
void map_set(Map *m, const void *key, void *value);
/* Interned strings: equal text, equal pointer. */
typedef struct Intern { Arena *arena; const char **slots; int n, cap; } Intern;
void intern_init(Intern *t, Arena *a);
const char *intern_str(Intern *t, const char *s, size_t n);
#endif
