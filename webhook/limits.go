package webhook

import (
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

// limits is a rate limit per name: an API key or an address. Names come from outside, so that their number is bounded: those that were
// not seen for a while make room, and where none did, newcomers share one limit.
type limits struct {
	rate  rate.Limit
	burst int
	clock func() time.Time

	mutex   sync.Mutex
	known   map[string]*visitor
	others  *rate.Limiter
	cleared time.Time // when idle names last made room
}

type visitor struct {
	limiter *rate.Limiter
	seen    time.Time
}

const (
	maxVisitors = 10_000
	visitorIdle = time.Minute
)

func newLimits(perSecond float64, burst int, clock func() time.Time) *limits {
	l := &limits{rate: rate.Limit(perSecond), burst: max(burst, 1), clock: clock, known: map[string]*visitor{}}
	if perSecond <= 0 {
		l.rate = rate.Inf
	}
	l.others = rate.NewLimiter(l.rate, l.burst)
	return l
}

// admit counts a request, or refuses it with the pause after which it would be taken.
func (l *limits) admit(name string) error {
	if l.rate == rate.Inf {
		return nil
	}
	now := l.clock()
	reservation := l.limiter(name, now).ReserveN(now, 1)
	pause := reservation.DelayFrom(now)
	if pause == 0 {
		return nil
	}
	reservation.CancelAt(now)
	p := newProblem(http.StatusTooManyRequests, typeRateLimit, "")
	p.retryAfter = seconds(pause)
	return p
}

func (l *limits) limiter(name string, now time.Time) *rate.Limiter {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if v, found := l.known[name]; found {
		v.seen = now
		return v.limiter
	}
	if len(l.known) >= maxVisitors && now.Sub(l.cleared) > time.Second {
		l.forget(now)
	}
	if len(l.known) >= maxVisitors {
		return l.others
	}
	v := &visitor{limiter: rate.NewLimiter(l.rate, l.burst), seen: now}
	l.known[name] = v
	return v.limiter
}

func (l *limits) forget(now time.Time) {
	l.cleared = now
	for name, v := range l.known {
		if now.Sub(v.seen) > visitorIdle {
			delete(l.known, name)
		}
	}
}

// limitStrangers bounds requests that carry no API key by the address that they come from.
func (s *Server) limitStrangers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.strangers.admit(c.RealIP()); err != nil {
			return err
		}
		return next(c)
	}
}
