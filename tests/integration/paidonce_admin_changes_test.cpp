#include "support/admin.hpp"
