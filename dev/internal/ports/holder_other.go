//go:build !linux

package ports

// holderOf is known on Linux only.
func holderOf(int) (Holder, bool) { return Holder{}, false }
