#pragma once
// The calls of a file store that do not wait: they go on in the commit thread.

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/file/file_write.hpp>
#include <paidonce/stores/file/pending_frame.hpp>

namespace paidonce::inline v1::detail {

/// A frame that tells `Derived::settled_now()` when it is settled.
template <class Core, class Derived>
struct AsyncCall : PendingFrame {
  explicit AsyncCall(Core& core) : PendingFrame(Tells::callback), core_(core) {
    call = [](PendingFrame& frame) noexcept { static_cast<Derived&>(frame).settled_now(); };
  }

  /// Waits for what is queued, without carrying anything.
  void wait_for_others() {
    carries = Carries::nothing;
    core_.commit().submit(*this);
  }

  std::exception_ptr failure() const noexcept {
    if (durable) return nullptr;
    try {
      core_.commit().throw_failure();
    } catch (...) {
      return std::current_exception();
    }
  }

  Core& core_;
};

template <class Core, class Handler>
struct AsyncFind final : AsyncCall<Core, AsyncFind<Core, Handler>> {
  AsyncFind(Core& core, Handler&& handler, std::optional<Record>&& found)
      : AsyncCall<Core, AsyncFind>(core), handler_(std::move(handler)), found_(std::move(found)) {}

  void settled_now() noexcept {
    const std::unique_ptr<AsyncFind> own(this);
    std::exception_ptr failure = this->failure();
    if (failure) found_.reset();
    handler_(std::move(failure), std::move(found_));
  }

  Handler handler_;
  std::optional<Record> found_;
};

template <class Core, class Handler>
void async_find(Core& core, const IdempotencyKey& key, Handler&& handler) {
  core.check_usable();
  std::optional<Record> found;
  const auto awaited = core.index().find(core.index().place_of(key), key, found);
  if (core.commit().is_durable(awaited)) return handler(std::exception_ptr(), std::move(found));
  core.commit().start_thread();
  (new AsyncFind<Core, Handler>(core, std::move(handler), std::move(found)))->wait_for_others();
}

/// Queues a write as soon as nothing is in its way. `Step` says which: `finding(write, frame)`, and
/// `tell(handler, failure, stored)`.
template <class Core, class Handler, class Step>
struct AsyncWrite final : AsyncCall<Core, AsyncWrite<Core, Handler, Step>> {
  AsyncWrite(Core& core, const IdempotencyKey& key, const Record& record, Handler&& handler, Step&& step)
      : AsyncCall<Core, AsyncWrite>(core),
        write_(core, key, record),
        handler_(std::move(handler)),
        step_(std::move(step)) {}

  /// Queued, one way or another: gone, or about to be, when it returns.
  void go() {
    met_ = Core::Met::nothing;
    const auto found = step_.finding(write_, *this);
    if (found.met == Core::Met::nothing) return;  // and this may be gone
    met_ = found.met;
    if (!this->core_.commit().is_durable(found.awaited)) return this->wait_for_others();
    if (found.met == Core::Met::pending) return go();
    const std::unique_ptr<AsyncWrite> own(this);
    step_.tell(handler_, nullptr, false);
  }

  void settled_now() noexcept {
    std::exception_ptr failure = this->failure();
    if (!failure && met_ == Core::Met::pending) {
      try {
        return go();
      } catch (...) {
        failure = std::current_exception();
      }
    }
    if (!failure && met_ == Core::Met::nothing) this->core_.wrote();
    const std::unique_ptr<AsyncWrite> own(this);
    step_.tell(handler_, std::move(failure), met_ == Core::Met::nothing);
  }

  FileWrite<Core> write_;
  Handler handler_;
  Step step_;
  typename Core::Met met_ = Core::Met::pending;
};

struct InsertStep {
  std::optional<Record> there = {};

  template <class Write>
  auto finding(Write& write, PendingFrame& frame) {
    return write.insert(frame, there);
  }
  template <class Handler>
  void tell(Handler& handler, std::exception_ptr failure, bool) {
    if (failure) there.reset();
    handler(std::move(failure), std::move(there));
  }
};

struct ReplaceStep {
  Version expected = 0;

  template <class Write>
  auto finding(Write& write, PendingFrame& frame) {
    return write.replace(frame, expected);
  }
  template <class Handler>
  void tell(Handler& handler, std::exception_ptr failure, bool stored) {
    const bool replaced = !failure && stored;
    handler(std::move(failure), replaced);
  }
};

template <class Core, class Handler, class Step>
void begin_write(Core& core, const IdempotencyKey& key, const Record& record, Handler&& handler,
                 Step&& step) {
  core.check_usable();
  core.commit().start_thread();
  auto call = std::make_unique<AsyncWrite<Core, Handler, Step>>(core, key, record, std::move(handler),
                                                                std::move(step));
  AsyncWrite<Core, Handler, Step>* const going = call.release();
  try {
    going->go();
  } catch (...) {  // before anything was queued
    delete going;
    throw;
  }
}

template <class Core, class Handler>
void async_insert(Core& core, const IdempotencyKey& key, const Record& record, Handler&& handler) {
  begin_write(core, key, record, std::move(handler), InsertStep{});
}

template <class Core, class Handler>
void async_replace(Core& core, const IdempotencyKey& key, Version expected, const Record& record,
                   Handler&& handler) {
  begin_write(core, key, record, std::move(handler), ReplaceStep{expected});
}

}  // namespace paidonce::inline v1::detail
