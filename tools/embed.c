/* embed TABLE OUT.c FILES...: text files as a C table of {name, text, size}, the name being the file's without folder and extension. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (argc < 3) return 2;
	FILE *out = fopen(argv[2], "w");
	if (!out) return perror(argv[2]), 1;
	fprintf(out, "#include <stddef.h>\n");
	for (int i = 3; i < argc; i++) {
		FILE *in = fopen(argv[i], "rb");
		if (!in) return perror(argv[i]), 1;
		fprintf(out, "static const char text%d[] = {", i);
		int c, n = 0;
		while ((c = getc(in)) != EOF) fprintf(out, n++ % 24 ? "%d," : "\n%d,", c > 127 ? c - 256 : c);
		fprintf(out, "0};\n");
		fclose(in);
	}
	fprintf(out, "const struct { const char *name, *text; size_t n; } %s[] = {\n", argv[1]);
	for (int i = 3; i < argc; i++) {
		const char *base = strrchr(argv[i], '/');
		base = base ? base + 1 : argv[i];
		const char *dot = strrchr(base, '.');
		fprintf(out, "\t{\"%.*s\", text%d, sizeof text%d - 1},\n", (int)(dot ? dot - base : (long)strlen(base)), base, i, i);
	}
	fprintf(out, "\t{NULL, NULL, 0}};\n");
	return fclose(out) ? 1 : 0;
}
