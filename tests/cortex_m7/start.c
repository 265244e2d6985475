/* Reset and vectors of a Cortex-M7 with an FPU for programs of arm-none-eabi-gcc with --specs=rdimon.specs (standard input and output through
 * the debugger, here QEMU's board mps2-an500): a fault ends the program with status 95. */
extern void _start(void);
extern void _exit(int);
extern char stack_top[];

static void fault(void)
{
	_exit(95);
}

static void reset(void)
{
	*(volatile unsigned *)0xE000ED88 |= 0xFu << 20; /* CPACR: the FPU */
	__asm volatile("dsb\n\tisb");
	_start();
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {(void (*)(void))stack_top, reset, fault, fault, fault, fault, fault};
