// expect: words that no compiler finds for this
#ifdef FIXED
int main() {}
#else
static_assert(sizeof(int) == 0, "another message");
#endif
