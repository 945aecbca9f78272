#pragma once
// Which sanitizer a test is compiled for. What is slow under one can then be done in larger steps; g++ and
// clang without one take all of them.

#if defined(__SANITIZE_THREAD__)
#define PAIDONCE_TEST_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PAIDONCE_TEST_THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PAIDONCE_TEST_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PAIDONCE_TEST_ADDRESS_SANITIZER 1
#endif
#endif

namespace support {

#ifdef PAIDONCE_TEST_THREAD_SANITIZER
inline constexpr bool thread_sanitizer = true;
#else
inline constexpr bool thread_sanitizer = false;
#endif
#ifdef PAIDONCE_TEST_ADDRESS_SANITIZER
inline constexpr bool address_sanitizer = true;
#else
inline constexpr bool address_sanitizer = false;
#endif

}  // namespace support
