// What the compiler can say about outcomes.

#include <paidonce/outcome.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

using namespace paidonce;

namespace {

using Text = Outcome<std::string>;
using Unique = Outcome<std::unique_ptr<int>>;

template <class O>
concept GivesEvidence = requires(O&& outcome) {
  std::forward<O>(outcome).evidence();
};

}  // namespace

// Evidence is a pointer into the outcome: none is given out of a temporary.
static_assert(GivesEvidence<Text&> && GivesEvidence<const Text&>);
static_assert(!GivesEvidence<Text>);

static_assert(std::same_as<decltype(std::declval<const Text&>().response()), const std::string&>);
static_assert(std::same_as<decltype(std::declval<Text&>().response()), const std::string&>,
              "an outcome is not edited");
static_assert(std::same_as<decltype(std::declval<Text>().response()), std::string>);
static_assert(std::same_as<decltype(std::declval<const Text&>().evidence()), const std::string*>);
static_assert(std::same_as<decltype(std::declval<const Text&>().evidence_state()), std::optional<State>>);
static_assert(std::same_as<decltype(std::declval<const Text&>().retry_after()), Duration>);
static_assert(std::same_as<decltype(std::declval<const Text&>().reason()), const std::string&>);
static_assert(std::same_as<decltype(std::declval<const Text&>().cause()), std::exception_ptr>);

static_assert(!std::is_default_constructible_v<Text>, "there is no answer that says nothing");
static_assert(!std::is_constructible_v<bool, Text>, "six answers do not fit an if");
static_assert(std::copyable<Text> && std::is_nothrow_move_constructible_v<Text>);
static_assert(std::movable<Unique> && !std::copy_constructible<Unique>);

// Asking is free of surprises: nothing but response() throws.
static_assert(noexcept(std::declval<const Text&>().status()) && noexcept(std::declval<const Text&>().succeeded()) && noexcept(
    std::declval<const Text&>()
        .declined()) && noexcept(std::declval<const Text&>()
                                     .replayed()) && noexcept(std::declval<const Text&>()
                                                                  .evidence()) && noexcept(std::declval<const Text&>()
                                                                                               .reason()) && noexcept(std::declval<const Text&>()
                                                                                                                          .cause()) && noexcept(std::
                                                                                                                                                    declval<
                                                                                                                                                        const Text&>()
                                                                                                                                                        .retry_after()));
static_assert(!noexcept(std::declval<const Text&>().response()));

// What visit hands out are aggregates, so that a handler may take them apart.
static_assert(std::is_aggregate_v<outcome::Completed<int>> && std::is_aggregate_v<outcome::InProgress> &&
              std::is_aggregate_v<outcome::KeyReused> && std::is_aggregate_v<outcome::InDoubt<int>> &&
              std::is_aggregate_v<outcome::NotExecuted> && std::is_aggregate_v<outcome::Refused>);
