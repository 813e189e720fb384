/* Atomic operations for ARM before version 6, which has no instructions for them: compilers call these functions.
 *
 * The kernel keeps helpers at fixed addresses (CONFIG_KUSER_HELPERS; Documentation/arch/arm/kernel_user_helpers.rst):
 * two exchange a word, or two, if nobody else changed them, one is a barrier. */
#if defined(__arm__) && __ARM_ARCH < 6

typedef int exchange_word(unsigned old, unsigned new, volatile unsigned *place); /* 0: done */
#define EXCHANGE_WORD ((exchange_word *)0xffff0fc0)
typedef unsigned long long u64;
typedef int exchange_words(const u64 *old, const u64 *new, volatile u64 *place); /* 0: done; Linux 3.1 */
#define EXCHANGE_WORDS ((exchange_words *)0xffff0f60)
#define BARRIER ((void (*)(void))0xffff0fa0)

/* Put `new` (of `size` bytes) where `old` is; false if something else is there. */
static _Bool replace(volatile void *place, unsigned size, u64 old, u64 new)
{
	unsigned address = (unsigned)place, shift = address % 4 * 8;
	volatile unsigned *word = (volatile unsigned *)(address - address % 4);
	unsigned mask = size >= 4 ? ~0u : ((1u << size * 8) - 1) << shift;
	unsigned whole = *word;

	if (size == 8)
		return EXCHANGE_WORDS(&old, &new, place) == 0;
	if ((whole & mask) != (unsigned)old << shift)
		return 0;
	return EXCHANGE_WORD(whole, (whole & ~mask) | (unsigned)new << shift, word) == 0;
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
		for (;;) {                                                                                 \
			type seen = *place; /* of two words the halves may be of different times */           \
			if (replace(place, size, seen, seen == old ? new : seen))                              \
				return seen;                                                                       \
		}                                                                                          \
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
SIZE(u64, long long, 8)

void barrier(void) __asm__("__sync_synchronize");
__attribute__((visibility("hidden"))) void barrier(void)
{
	BARRIER();
}

#endif
