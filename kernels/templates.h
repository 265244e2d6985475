/* Functions that emitted programs get for one dtype at a time: NAME, T and BEFORE(a, b) are replaced in the text between the markers.
 * T is the type of an element in memory, LOAD(x) its value for comparison; BEFORE is the order of numbers, nan last. This file is text for
 * the C printer (codegen/templates.c); it is not compiled by itself. */

/* @template sort */
/* Sorts n elements, stride apart, ascending, equal ones in their old order; order[] receives their old positions. row[n], room[2n]: scratch. */
static void NAME(T *x, int32_t *order, T *row, int32_t *room, ptrdiff_t n, ptrdiff_t stride)
{
	int32_t *from = room, *to = room + n;
	for (ptrdiff_t i = 0; i < n; i++) row[i] = x[i * stride];
	for (ptrdiff_t i = 0; i < n; i++) from[i] = (int32_t)i;
	for (ptrdiff_t width = 1; width < n; width *= 2) {
		for (ptrdiff_t at = 0; at < n; at += 2 * width) {
			ptrdiff_t i = at, j = at + width < n ? at + width : n, end = at + 2 * width < n ? at + 2 * width : n, mid = j, k = at;
			while (i < mid && j < end) to[k++] = BEFORE(LOAD(row[from[j]]), LOAD(row[from[i]])) ? from[j++] : from[i++];
			while (i < mid) to[k++] = from[i++];
			while (j < end) to[k++] = from[j++];
		}
		{
			int32_t *swap = from;
			from = to;
			to = swap;
		}
	}
	for (ptrdiff_t i = 0; i < n; i++) {
		x[i * stride] = row[from[i]];
		order[i * stride] = from[i];
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
