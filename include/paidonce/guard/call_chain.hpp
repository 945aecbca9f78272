#pragma once
// The calls that this thread is in the middle of, so that one that would wait for itself is told at once.

#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>

namespace paidonce::inline v1::detail {

/// On the stack of a call, linked to the calls around it.
class CallChain {
 public:
  /// Throws `Error{reentrant_call}` where this guard already runs this key further up.
  CallChain(const void* guard, const IdempotencyKey& key) : guard_(guard), key_(key), outer_(innermost()) {
    for (const CallChain* call = outer_; call; call = call->outer_)
      if (call->guard_ == guard && call->key_ == key)
        throw Error(
            errc::reentrant_call,
            "this key is already being executed by this guard further up the call chain: give the inner "
            "payment a key of its own");
    innermost() = this;
  }
  CallChain(const CallChain&) = delete;
  CallChain& operator=(const CallChain&) = delete;
  ~CallChain() { innermost() = outer_; }

 private:
  static const CallChain*& innermost() noexcept {
    static thread_local const CallChain* call = nullptr;
    return call;
  }

  const void* guard_;
  const IdempotencyKey& key_;
  const CallChain* outer_;
};

}  // namespace paidonce::inline v1::detail
