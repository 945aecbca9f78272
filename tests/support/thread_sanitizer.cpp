// What thread_sanitizer.supp says, for the process of the tests themselves: some of them run a server in it.

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libcpp-httplib.so\nmutex:paidonce::v1::http::detail::TryLimit";
}

#endif
#endif
