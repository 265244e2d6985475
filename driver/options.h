/* What the command line says. One table (options.c) parses it and prints --help. */
#ifndef MLXCC_DRIVER_OPTIONS_H
#define MLXCC_DRIVER_OPTIONS_H
#include <stdbool.h>
#include "../ir/diag.h"
#include "../passes/pass.h"

#define MLXCC_VERSION "0.1.0"

typedef enum Command { CMD_COMPILE, CMD_RUN, CMD_TEST, CMD_VERIFY, CMD_CHECK, CMD_COUNT } Command;
typedef struct NameValue {
	const char *name, *value;
} NameValue;

typedef struct Options {
	Command command;
	const char *input;    /* without the `:function` of run and verify */
	const char *function; /* run, verify: behind the colon, or NULL */
	const char *out;      /* compile: -o; run: --out */
	const char *emit;     /* NULL: C and header */
	const char *prefix;
	VEC(const char *) entry;
	VEC(NameValue) weights, args;
	bool no_fma; /* --fma=off */
	bool profile;
	int calls; /* run --profile: how many are counted */
	const char *target_flags; /* of the C compiler, for passes.target */
	bool interp, check, help, version, list_passes;
	size_t max_memory; /* bytes; 0: the default */
	int trials;        /* verify: random inputs for each function */
	uint64_t seed;
	PassOptions passes;
} Options;

/* Reads argv[1..argc) into *o. False after a diagnostic. */
bool options_parse(Arena *a, Diag *d, int argc, char **argv, Options *o);
void options_help(FILE *out, Command c, bool all);
const char *command_name(Command c); /* "run"; compiling is "" */
#endif
