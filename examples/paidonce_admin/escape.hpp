#pragma once
// How this program shows opaque bytes.

#include "escaped.hpp"

namespace paidonce_admin {

using common::escaped;
using common::unescaped;

}  // namespace paidonce_admin
