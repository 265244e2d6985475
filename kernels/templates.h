/* Functions that emitted programs get for one dtype at a time: NAME, T and BEFORE(a, b) are replaced in the text between the markers.
 * T is the type of an element in memory, LOAD(x) its value for comparison; BEFORE is the order of numbers, nan last; KEY(x) is an unsigned
 * integer KEY_T in that order; PAIR is a struct, MERGE and PAIRS are functions on its arrays. This file is text for
 * the C printer (codegen/support.c); it is not compiled by itself. */

/* @template merge_pairs */
/* Elements with their positions, sorted so that equal ones keep their order; the result is in a or in b. */
typedef struct PAIR {
	T v;
	int32_t at;
} PAIR;
static PAIR *NAME(PAIR *a, PAIR *b, int32_t *count, ptrdiff_t n)
{
	(void)count;
	for (ptrdiff_t width = 1; width < n; width *= 2) {
		for (ptrdiff_t at = 0; at < n; at += 2 * width) {
			ptrdiff_t i = at, j = at + width < n ? at + width : n, end = at + 2 * width < n ? at + 2 * width : n, mid = j, k = at;
			while (i < mid && j < end) b[k++] = BEFORE(LOAD(a[j].v), LOAD(a[i].v)) ? a[j++] : a[i++];
			while (i < mid) b[k++] = a[i++];
			while (j < end) b[k++] = a[j++];
		}
		{
			PAIR *swap = a;
			a = b;
			b = swap;
		}
	}
	return a;
}

/* @template radix_pairs */
/* The same by counting bytes of integers that have the elements' order, the lowest first; bytes that all share are skipped. count: scratch. */
static PAIR *NAME(PAIR *a, PAIR *b, int32_t *count, ptrdiff_t n)
{
	enum { BYTES = sizeof(KEY_T) };
	if (n < SORT_RADIX_FROM) return MERGE(a, b, count, n);
	memset(count, 0, sizeof(int32_t) * 256 * BYTES);
	for (ptrdiff_t i = 0; i < n; i++) {
		const KEY_T key = KEY(LOAD(a[i].v));
		for (int k = 0; k < BYTES; k++) count[256 * k + (int)(key >> (8 * k) & 255)]++;
	}
	for (int k = 0; k < BYTES; k++, count += 256) {
		int32_t next = 0;
		if (count[(int)(KEY(LOAD(a[0].v)) >> (8 * k) & 255)] == n) continue;
		for (int c = 0; c < 256; c++) {
			const int32_t here = count[c];
			count[c] = next;
			next += here;
		}
		for (ptrdiff_t i = 0; i < n; i++) b[count[(int)(KEY(LOAD(a[i].v)) >> (8 * k) & 255)]++] = a[i];
		{
			PAIR *swap = a;
			a = b;
			b = swap;
		}
	}
	return a;
}

/* @template sort */
/* Sorts n elements, stride apart, ascending, equal ones in their old order; order[] receives their old positions. */
static void NAME(T *x, int32_t *order, int32_t *room, ptrdiff_t n, ptrdiff_t stride)
{
	PAIR *a = (PAIR *)(void *)room;
	for (ptrdiff_t i = 0; i < n; i++) {
		a[i].v = x[i * stride];
		a[i].at = (int32_t)i;
	}
	a = PAIRS(a, a + n, (int32_t *)(void *)(a + 2 * n), n);
	for (ptrdiff_t i = 0; i < n; i++) {
		x[i * stride] = a[i].v;
		order[i * stride] = a[i].at;
	}
}

/* @template topk */
/* The last k of n sorted elements and their positions. What may be among them is collected behind those found so far, and sorted whenever
 * the room is full: then the least of the k best bounds what follows. */
static void NAME(const T *x, T *out, int32_t *order, int32_t *room, ptrdiff_t n, ptrdiff_t k, ptrdiff_t stride, ptrdiff_t ostride)
{
	enum { BLOCK = 32 };
	const ptrdiff_t cap = 2 * k + TOPK_SLACK;
	PAIR *const a = (PAIR *)(void *)room, *s;
	int32_t *const count = (int32_t *)(void *)(a + 2 * cap);
	ptrdiff_t have = 0, i = 0;
	bool bound = false;
	if (k == 0) return;
	V least = LOAD(x[0]);
	while (i < n) {
		if (bound && stride == 1 && i + BLOCK <= n) { /* most blocks hold nothing larger */
			int over = 0;
			for (int j = 0; j < BLOCK; j++) over |= !(BEFORE(LOAD(x[i + j]), least));
			if (!over) {
				i += BLOCK;
				continue;
			}
		}
		for (int j = 0; j < BLOCK && i < n; j++, i++) {
			if (bound && BEFORE(LOAD(x[i * stride]), least)) continue;
			a[have].v = x[i * stride];
			a[have++].at = (int32_t)i;
			if (have < cap) continue;
			s = PAIRS(a, a + cap, count, have);
			memmove(a, s + (have - k), sizeof *a * (size_t)k);
			have = k;
			least = LOAD(a[0].v);
			bound = true;
		}
	}
	s = PAIRS(a, a + cap, count, have) + (have - k);
	for (i = 0; i < k; i++) {
		out[i * ostride] = s[i].v;
		order[i * ostride] = s[i].at;
	}
}

/* @template searchsorted */
/* Where v goes in the sorted table: before equal elements, or (right) behind them. */
static uint32_t NAME(const T *table, ptrdiff_t n, V v, bool right)
{
	ptrdiff_t lo = 0, hi = n;
	while (lo < hi) {
		const ptrdiff_t mid = (lo + hi) / 2;
		if (right ? !(BEFORE(v, LOAD(table[mid]))) : (BEFORE(LOAD(table[mid]), v))) lo = mid + 1;
		else hi = mid;
	}
	return (uint32_t)lo;
}

/* @template random_bits needs mx_threefry2x32 */
/* n random words of a key: counters (i, i + ceil(words/2)), the two outputs to the same two places, bytes least significant first. */
static void NAME(const uint32_t *key, T *out, ptrdiff_t n)
{
	enum { WIDTH = sizeof(T) };
	const ptrdiff_t bytes = n * WIDTH, words = (bytes + 3) / 4, half = words / 2, odd = words % 2;
	for (ptrdiff_t i = 0; i < half + odd; i++) {
		uint32_t word[2];
		word[0] = (uint32_t)i;
		word[1] = i < half ? (uint32_t)(i + half + odd) : 0;
		mx_threefry2x32(key[0], key[1], &word[0], &word[1]);
		for (int k = 0; k < (i < half ? 2 : 1); k++) {
			const ptrdiff_t at = (i + k * (half + odd)) * 4 / WIDTH;
			for (int b = 0; b < 4 / WIDTH && at + b < n; b++) out[at + b] = (T)(word[k] >> (8 * WIDTH * b) % 32);
		}
	}
}

/* @end */
