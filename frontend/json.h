/* JSON values: the headers of safetensors files, and `load("config.json")`. */
#ifndef MLXCC_FRONTEND_JSON_H
#define MLXCC_FRONTEND_JSON_H
#include <stdbool.h>
#include "../ir/arena.h"

typedef enum JsonKind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_INT, JSON_FLOAT, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonKind;
typedef struct Json {
	JsonKind kind;
	int n;            /* ARRAY, OBJECT: number of items */
	size_t nstr;      /* STRING: bytes */
	int64_t integer;  /* INT */
	double number;    /* INT, FLOAT */
	const char *str;  /* STRING: UTF-8, may hold NULs, ends with one */
	const char **key; /* OBJECT: in file order, distinct */
	struct Json **item;
} Json;

/* Reads one value that fills the text. False and *why (with line and column) where the text is not JSON: duplicate keys and more than
 * 64 levels are refused too. An integer beyond int64 becomes a FLOAT. */
bool json_read(Arena *a, const char *text, size_t n, Json **out, const char **why);
const Json *json_get(const Json *object, const char *key); /* NULL when missing, or no object */
void json_put_string(StrBuf *b, const char *s, size_t n);  /* quoted and escaped */
#endif
