// What the shared libraries export: everything else is hidden.
#pragma once

#define SLIDEKIT_API __attribute__((visibility("default")))
