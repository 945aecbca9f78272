static_assert(sizeof(int) == 0, "nobody expects a message");
