/* Trees: tuples, lists, records, modules and stacks of leaves, walked and rebuilt in order.
 *
 * Leaves are tensors, numbers, types and `none`; anything else inside a tree (a function, a text) is an opaque leaf that transforms and
 * tree_map leave alone. In tree_map the first tree gives the structure: `none` in any tree at a place leaves the first tree's value there
 * alone.
 */
#include "builtins.h"
#include <string.h>

static bool member_is_leaf_holder(const MemberVal *m)
{
	return m->kind == MK_PARAM || m->kind == MK_BUFFER || m->kind == MK_SUB;
}

/* Children of a tree in order; a stack has one, its element. */
static int child_count(Val t)
{
	if (t.kind == V_STACK) return 1;
	if (t.kind != V_MODULE) return t.u.items->n;
	int n = 0;
	for (int i = 0; i < t.u.module->n; i++) n += member_is_leaf_holder(&t.u.module->members[i]);
	return n;
}

static const MemberVal *child_member(Val t, int k)
{
	for (int i = 0; i < t.u.module->n; i++)
		if (member_is_leaf_holder(&t.u.module->members[i]) && k-- == 0) return &t.u.module->members[i];
	return NULL;
}

static Val child_at(Val t, int k)
{
	if (t.kind == V_STACK) return t.u.stack->elem;
	return t.kind == V_MODULE ? child_member(t, k)->v : t.u.items->at[k];
}

static const char *child_name(Elab *e, Val t, int k)
{
	if (t.kind == V_STACK) return "*";
	if (t.kind == V_MODULE) return child_member(t, k)->name;
	return t.kind == V_RECORD ? t.u.items->name[k] : arena_printf(elab_arena(e), "%d", k);
}

static const char *join_path(Elab *e, const char *path, const char *name)
{
	return *path ? arena_printf(elab_arena(e), "%s.%s", path, name) : name;
}

/* The tree with other children, in order. */
static Val with_children(Elab *e, Val t, const Val *child)
{
	Val r;
	switch (t.kind) {
	case V_STACK: r = val_stack(e, child[0], t.u.stack->n); break;
	case V_MODULE: {
		ModuleTree *m = module_copy(e, t.u.module);
		MemberVal *member = (MemberVal *)m->members;
		for (int i = 0; i < m->n; i++)
			if (member_is_leaf_holder(&member[i])) member[i].v = *child++;
		r = val_module(m);
		break;
	}
	case V_RECORD: r = val_record(e, t.u.items->name, child, t.u.items->n); break;
	case V_LIST: r = val_list(e, child, t.u.items->n); break;
	default: r = val_tuple(e, child, t.u.items->n); break;
	}
	r.loc = t.loc;
	return r;
}

/* --- leaves ------------------------------------------------------------------------------------------------------------- */
typedef struct LeafList {
	Elab *e;
	VEC(Val) v;
	VEC(const char *) path;
	VEC(bool) diff;
} LeafList;

static bool leaf_is_diff(Elab *e, Val v)
{
	DType d;
	int rank;
	Dim dims[MAX_RANK];
	if (v.kind == V_FLOAT || v.kind == V_COMPLEX) return true;
	return val_shape(e, v, &d, &rank, dims) && dtype_is_diff(d);
}

static void collect(LeafList *l, Val t, const char *path, bool buffer)
{
	Arena *a = elab_arena(l->e);
	if (!val_is_tree(t)) {
		VEC_PUSH(a, l->v, t);
		VEC_PUSH(a, l->path, path);
		VEC_PUSH(a, l->diff, !buffer && leaf_is_diff(l->e, t));
		return;
	}
	int n = child_count(t);
	for (int k = 0; k < n; k++) {
		bool b = buffer || (t.kind == V_MODULE && child_member(t, k)->kind == MK_BUFFER);
		collect(l, child_at(t, k), join_path(l->e, path, child_name(l->e, t, k)), b);
	}
}

Leaves tree_leaves(Elab *e, Val tree)
{
	LeafList l = {.e = e};
	collect(&l, tree, "", false);
	return (Leaves){l.v.at, l.path.at, l.diff.at, l.v.n};
}

static Val rebuild(Elab *e, Val t, const Val **next)
{
	if (!val_is_tree(t)) return *(*next)++;
	int n = child_count(t);
	Val *child = NEW_ARRAY(elab_arena(e), Val, n);
	for (int k = 0; k < n; k++) child[k] = rebuild(e, child_at(t, k), next);
	return with_children(e, t, child);
}

Val tree_rebuild(Elab *e, Val tree, const Val *leaves)
{
	return rebuild(e, tree, &leaves);
}

/* --- tree_map ----------------------------------------------------------------------------------------------------------- */
typedef struct MapJob {
	Elab *e;
	Val fn;
	int n;
	bool with_path;
	Loc loc;
	const char *name;
} MapJob;

static bool is_opaque(Val v)
{
	return !(val_is_weak(v) || v.kind == V_TENSOR || v.kind == V_TYPE || v.kind == V_DTYPE);
}

static _Noreturn void fail_structure(const MapJob *j, const char *path, int k, Val a, Val b)
{
	elab_fail(j->e, j->loc, "tree.structure", "`%s`: the trees differ at %s%s%s: %s in tree 0, %s in tree %d", j->name,
	          *path ? "`" : "their root", path, *path ? "`" : "", val_describe(j->e, a), val_describe(j->e, b), k);
}

static bool same_node(Val a, Val b)
{
	if (val_is_seq(a) && val_is_seq(b)) return a.u.items->n == b.u.items->n;
	if (a.kind != b.kind) return false;
	if (a.kind == V_RECORD) {
		if (a.u.items->n != b.u.items->n) return false;
		for (int i = 0; i < a.u.items->n; i++)
			if (strcmp(a.u.items->name[i], b.u.items->name[i])) return false;
		return true;
	}
	if (a.kind == V_MODULE) return child_count(a) == child_count(b);
	return a.kind == V_STACK ? dim_equal(a.u.stack->n, b.u.stack->n) : true;
}

static Val map_nodes(const MapJob *j, const Val *t, const char *path)
{
	Elab *e = j->e;
	for (int k = 0; k < j->n; k++)
		if (t[k].kind == V_NONE) return t[0];
	if (!val_is_tree(t[0])) {
		if (is_opaque(t[0])) return t[0];
		for (int k = 1; k < j->n; k++)
			if (val_is_tree(t[k]) && !val_is_seq(t[k])) fail_structure(j, path, k, t[0], t[k]);
		Val arg[BUILTIN_MAX_PARAMS + 1];
		int n = 0;
		if (j->with_path) arg[n++] = val_str(e, path);
		for (int k = 0; k < j->n; k++) arg[n++] = t[k];
		return elab_call(e, j->fn, arg, n, NULL, NULL, 0, j->loc);
	}
	for (int k = 1; k < j->n; k++)
		if (!same_node(t[0], t[k])) fail_structure(j, path, k, t[0], t[k]);
	int n = child_count(t[0]);
	Val *child = NEW_ARRAY(elab_arena(e), Val, n), sub[BUILTIN_MAX_PARAMS];
	for (int c = 0; c < n; c++) {
		for (int k = 0; k < j->n; k++) sub[k] = child_at(t[k], c);
		child[c] = map_nodes(j, sub, join_path(e, path, child_name(e, t[0], c)));
	}
	return with_children(e, t[0], child);
}

static Val map_trees(Elab *e, const CallSite *at, Val *argv, bool with_path)
{
	const Items *rest = argv[2].u.items;
	if (!elab_is_callable(argv[0]))
		elab_fail(e, arg_at(at, 0), "call.kind", "`%s` takes a function first, not %s", at->name, val_describe(e, argv[0]));
	if (rest->n + 1 >= BUILTIN_MAX_PARAMS)
		elab_fail(e, at->loc, "call.count", "`%s` takes at most %d trees", at->name, BUILTIN_MAX_PARAMS - 1);
	MapJob j = {e, argv[0], rest->n + 1, with_path, at->loc, at->name};
	Val t[BUILTIN_MAX_PARAMS];
	t[0] = argv[1];
	memcpy(t + 1, rest->at, sizeof(Val) * (size_t)rest->n);
	return map_nodes(&j, t, "");
}

Val builtin_tree_map(Elab *e, const CallSite *at, Val *argv)
{
	return map_trees(e, at, argv, false);
}

Val builtin_tree_map_with_path(Elab *e, const CallSite *at, Val *argv)
{
	return map_trees(e, at, argv, true);
}

/* --- the rest ----------------------------------------------------------------------------------------------------------- */
Val builtin_tree_reduce(Elab *e, const CallSite *at, Val *argv)
{
	Leaves l = tree_leaves(e, argv[1]);
	Val acc = argv[2];
	bool have = acc.kind != V_NONE;
	for (int i = 0; i < l.n; i++) {
		if (l.at[i].kind == V_NONE || is_opaque(l.at[i])) continue;
		Val pair[2] = {acc, l.at[i]};
		acc = have ? elab_call(e, argv[0], pair, 2, NULL, NULL, 0, at->loc) : l.at[i];
		have = true;
	}
	if (!have) elab_fail(e, at->loc, "tree.empty", "`tree_reduce` of a tree without leaves needs an initializer");
	return acc;
}

/* MLX's list of (path, leaf). */
Val builtin_tree_flatten(Elab *e, const CallSite *at, Val *argv)
{
	Leaves l = tree_leaves(e, argv[0]);
	Val *out = NEW_ARRAY(elab_arena(e), Val, l.n);
	int n = 0;
	for (int i = 0; i < l.n; i++) {
		if (l.at[i].kind == V_NONE) continue;
		Val pair[2] = {val_str(e, l.path[i]), l.at[i]};
		out[n++] = val_tuple(e, pair, 2);
	}
	return val_list(e, out, n);
}

/* --- tree_unflatten ----------------------------------------------------------------------------------------------------- */
typedef struct Entry {
	const char *path;
	Val leaf;
} Entry;

static size_t head_length(const char *path)
{
	return strcspn(path, ".");
}

static bool is_number(const char *s, size_t n)
{
	return n > 0 && strspn(s, "0123456789") >= n;
}

/* The entries grouped by the first part of their paths: a record of names, a list of numbers in order. */
static Val unflatten(Elab *e, const Entry *x, int n, Loc loc)
{
	if (n == 1 && !*x[0].path) return x[0].leaf;
	Arena *a = elab_arena(e);
	const char **name = NEW_ARRAY(a, const char *, n);
	Val *child = NEW_ARRAY(a, Val, n);
	bool *done = NEW_ARRAY(a, bool, n);
	Entry *sub = NEW_ARRAY(a, Entry, n);
	int groups = 0, numbers = 0;
	for (int i = 0; i < n; i++) {
		if (done[i]) continue;
		size_t len = head_length(x[i].path);
		if (!len) elab_fail(e, loc, "tree.path", "`tree_unflatten`: two leaves stand at one place");
		int m = 0;
		for (int k = i; k < n; k++) {
			if (head_length(x[k].path) != len || strncmp(x[i].path, x[k].path, len)) continue;
			done[k] = true;
			sub[m++] = (Entry){x[k].path[len] ? x[k].path + len + 1 : "", x[k].leaf};
		}
		numbers += is_number(x[i].path, len);
		name[groups] = module_str(elab_module(e), arena_strndup(a, x[i].path, len));
		child[groups++] = unflatten(e, sub, m, loc);
	}
	if (numbers < groups) return val_record(e, name, child, groups);
	Val *item = NEW_ARRAY(a, Val, groups);
	for (int i = 0; i < groups; i++) {
		int found = -1;
		for (int k = 0; k < groups; k++)
			if (!strcmp(name[k], arena_printf(a, "%d", i))) found = k;
		if (found < 0) elab_fail(e, loc, "tree.path", "`tree_unflatten`: there are %d numbered entries, but none is %d", groups, i);
		item[i] = child[found];
	}
	return val_list(e, item, groups);
}

Val builtin_tree_unflatten(Elab *e, const CallSite *at, Val *argv)
{
	if (!val_is_seq(argv[0]))
		elab_fail(e, arg_at(at, 0), "tree.path", "`tree_unflatten` takes a list of (path, leaf), not %s", val_describe(e, argv[0]));
	int n = argv[0].u.items->n;
	Entry *x = NEW_ARRAY(elab_arena(e), Entry, n);
	for (int i = 0; i < n; i++) {
		Val pair = argv[0].u.items->at[i];
		if (!val_is_seq(pair) || pair.u.items->n != 2 || pair.u.items->at[0].kind != V_STR)
			elab_fail(e, arg_at(at, 0), "tree.path", "`tree_unflatten` takes a list of (path, leaf); element %d is %s", i,
			          val_describe(e, pair));
		x[i] = (Entry){elab_str(e, pair.u.items->at[0], arg_at(at, 0), "a path"), pair.u.items->at[1]};
	}
	return n ? unflatten(e, x, n, at->loc) : val_record(e, NULL, NULL, 0);
}

/* The leaves that are differentiated; none at buffers, integers and booleans. */
Val builtin_trainable(Elab *e, const CallSite *at, Val *argv)
{
	Leaves l = tree_leaves(e, argv[0]);
	for (int i = 0; i < l.n; i++)
		if (!l.diff[i]) l.at[i] = val_none();
	return tree_rebuild(e, argv[0], l.at);
}

static Val merge_nodes(const MapJob *j, Val a, Val b, const char *path)
{
	Elab *e = j->e;
	if (a.kind == V_NONE) return b;
	if (b.kind == V_NONE) return a;
	if (!val_is_tree(a) || !val_is_tree(b)) {
		if (val_is_tree(a) != val_is_tree(b)) fail_structure(j, path, 1, a, b);
		Val pair[2] = {a, b};
		return j->fn.kind == V_NONE ? a : elab_call(e, j->fn, pair, 2, NULL, NULL, 0, j->loc);
	}
	if (!same_node(a, b)) fail_structure(j, path, 1, a, b);
	int n = child_count(b);
	Val *child = NEW_ARRAY(elab_arena(e), Val, n);
	for (int c = 0; c < n; c++) child[c] = merge_nodes(j, child_at(a, c), child_at(b, c), join_path(e, path, child_name(e, b, c)));
	return with_children(e, b, child);
}

/* a's leaves over b's, in b's structure. */
Val builtin_tree_merge(Elab *e, const CallSite *at, Val *argv)
{
	MapJob j = {e, argv[2], 2, false, at->loc, at->name};
	return merge_nodes(&j, argv[0], argv[1], "");
}
