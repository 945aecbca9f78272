// What the compiler can say about keys.

#include <paidonce/key.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

using namespace paidonce;

static_assert(!std::is_default_constructible_v<IdempotencyKey>, "there is no key that means nothing");
static_assert(std::is_constructible_v<IdempotencyKey, const char*, const char*>);
static_assert(std::is_constructible_v<IdempotencyKey, std::string, std::string_view>);
static_assert(!std::is_constructible_v<IdempotencyKey, std::string>, "a scope is always named");
static_assert(!std::is_convertible_v<std::string, IdempotencyKey>);
static_assert(std::is_copy_constructible_v<IdempotencyKey> && std::is_copy_assignable_v<IdempotencyKey>);
static_assert(std::is_nothrow_move_constructible_v<IdempotencyKey>);
static_assert(std::is_nothrow_move_assignable_v<IdempotencyKey>);
static_assert(std::is_same_v<decltype(IdempotencyKey::generate("")), IdempotencyKey>);
static_assert(std::is_same_v<decltype(IdempotencyKey::from_bytes("")), IdempotencyKey>);
static_assert(noexcept(std::declval<const IdempotencyKey&>() == std::declval<const IdempotencyKey&>()));
static_assert(noexcept(std::declval<const IdempotencyKey&>().hash()));
static_assert(std::is_nothrow_invocable_r_v<std::size_t, std::hash<IdempotencyKey>, const IdempotencyKey&>);
static_assert(sizeof(IdempotencyKey) <= sizeof(std::string) + 8);
