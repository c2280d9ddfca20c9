package wiring

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// outboundBase is the transport for addresses that customers configure. Without private it connects to public addresses only: the check
// is made on the address that is dialled, so that a name which resolves to an inner host gets nowhere.
func outboundBase(private bool) http.RoundTripper {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !private {
		dialer.Control = publicOnly
	}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}
}

// publicOnly refuses to connect to loopback, link-local, private, shared (carrier-grade NAT) and translated addresses.
func publicOnly(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("callback address: %w", err)
	}
	ip := target.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || within(ip, "100.64.0.0/10", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "198.18.0.0/15", "0.0.0.0/8") {
		return fmt.Errorf("callback address %s is not public; TENDERLINE_CALLBACK_ALLOW_PRIVATE allows it", ip)
	}
	return nil
}

// within tells whether an address is in one of the ranges.
func within(ip netip.Addr, ranges ...string) bool {
	return slices.ContainsFunc(ranges, func(text string) bool { return netip.MustParsePrefix(text).Contains(ip) })
}
