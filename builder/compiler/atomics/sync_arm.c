/* Atomic operations for ARM before version 6, which has no instructions for them: compilers call these functions.
 *
 * The kernel keeps helpers at fixed addresses (CONFIG_KUSER_HELPERS; Documentation/arch/arm/kernel_user_helpers.rst):
 * one exchanges a word if nobody else changed it, one is a barrier. */
#if defined(__arm__) && __ARM_ARCH < 6

typedef int exchange_word(unsigned old, unsigned new, volatile unsigned *place); /* 0: done */
#define EXCHANGE_WORD ((exchange_word *)0xffff0fc0)
#define BARRIER ((void (*)(void))0xffff0fa0)

/* Put `new` (of `size` bytes) where `old` is; false if something else is there. */
static _Bool replace(volatile void *place, unsigned size, unsigned old, unsigned new)
{
	unsigned address = (unsigned)place, shift = address % 4 * 8;
	volatile unsigned *word = (volatile unsigned *)(address - address % 4);
	unsigned mask = size == 4 ? ~0u : ((1u << size * 8) - 1) << shift;
	unsigned whole = *word;

	if ((whole & mask) != old << shift)
		return 0;
	return EXCHANGE_WORD(whole, (whole & ~mask) | new << shift, word) == 0;
}

/* The names are the compiler's own, so that C cannot spell them but as labels. */
#define UPDATE(type, size, name, new)                                                              \
	type name##size(volatile type *, type) __asm__("__sync_" #name "_" #size);                     \
	__attribute__((visibility("hidden"))) type name##size(volatile type *place, type value)        \
	{                                                                                              \
		type old;                                                                                  \
		do                                                                                         \
			old = *place;                                                                          \
		while (!replace(place, size, old, (type)(new)));                                           \
		return old;                                                                                \
	}

#define COMPARE_AND_SWAP(type, size)                                                               \
	type cas##size(volatile type *, type, type) __asm__("__sync_val_compare_and_swap_" #size);     \
	__attribute__((visibility("hidden"))) type cas##size(volatile type *place, type old, type new) \
	{                                                                                              \
		type seen;                                                                                 \
		while ((seen = *place) == old)                                                             \
			if (replace(place, size, old, new))                                                    \
				return old;                                                                        \
		return seen;                                                                               \
	}

#define SIZE(type, signed_type, size)                                                              \
	UPDATE(type, size, fetch_and_add, old + value)                                                 \
	UPDATE(type, size, fetch_and_sub, old - value)                                                 \
	UPDATE(type, size, fetch_and_and, old &value)                                                  \
	UPDATE(type, size, fetch_and_or, old | value)                                                  \
	UPDATE(type, size, fetch_and_xor, old ^ value)                                                 \
	UPDATE(type, size, fetch_and_nand, ~(old & value))                                             \
	UPDATE(type, size, fetch_and_max, (signed_type)old > (signed_type)value ? old : value)         \
	UPDATE(type, size, fetch_and_min, (signed_type)old < (signed_type)value ? old : value)         \
	UPDATE(type, size, fetch_and_umax, old > value ? old : value)                                  \
	UPDATE(type, size, fetch_and_umin, old < value ? old : value)                                  \
	UPDATE(type, size, lock_test_and_set, value)                                                   \
	COMPARE_AND_SWAP(type, size)

SIZE(unsigned char, signed char, 1)
SIZE(unsigned short, short, 2)
SIZE(unsigned, int, 4)

void barrier(void) __asm__("__sync_synchronize");
__attribute__((visibility("hidden"))) void barrier(void)
{
	BARRIER();
}

#endif
