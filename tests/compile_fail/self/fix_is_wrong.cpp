// expect: an int has a size
static_assert(sizeof(int) == 0, "an int has a size");
#ifdef FIXED
int main() {}
#endif
