# What iproute2's configure would find out about the box: musl has setns() and
# name_to_handle_at(); there is no libmnl, libelf, libcap, SELinux or Berkeley DB.
IP_CONFIG_SETNS := y
CFLAGS += -DHAVE_SETNS -DHAVE_HANDLE_AT

%.o: %.c
	$(CC) $(CFLAGS) $(CPPFLAGS) -c -o $@ $<
