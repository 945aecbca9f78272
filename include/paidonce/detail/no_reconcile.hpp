#pragma once

namespace paidonce::inline v1::detail {

/// In place of a reconcile function where none is given.
struct NoReconcile {};

}  // namespace paidonce::inline v1::detail
