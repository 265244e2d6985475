/* Unit tests in C: one binary, one suite for each file. */
#include <check.h>
#include <stdlib.h>

Suite *dim_suite(void);
Suite *dtype_suite(void);
Suite *diag_suite(void);
Suite *build_suite(void);
Suite *passes_suite(void);
Suite *verify_suite(void);

int main(void)
{
	SRunner *r = srunner_create(dim_suite());
	srunner_add_suite(r, dtype_suite());
	srunner_add_suite(r, diag_suite());
	srunner_add_suite(r, build_suite());
	srunner_add_suite(r, passes_suite());
	srunner_add_suite(r, verify_suite());
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
