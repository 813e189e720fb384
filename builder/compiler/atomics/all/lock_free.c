/* OpenSSL asks whether an atomic of some size needs no lock; zig's compiler run time leaves the answer out. */
_Bool lock_free(unsigned long size, const volatile void *place) __asm__("__atomic_is_lock_free");

__attribute__((visibility("hidden"))) _Bool lock_free(unsigned long size, const volatile void *place)
{
	(void)place;
	return size <= sizeof(long);
}
