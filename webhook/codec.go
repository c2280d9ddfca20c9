package webhook

import (
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"
	"go.temporal.io/sdk/converter"

	"github.com/tenderline/tenderline/internal/config"
)

// codecOrigin lets only the Temporal UI's pages use the codec from a browser. A browser sends the origin with every such request; other
// programs send none.
func (s *Server) codecOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.deps.CodecUse.Open && !loopbackName(hostOf(c.Request().Host)) {
			// A page elsewhere whose name leads to this machine would be of the same origin.
			return newProblem(http.StatusForbidden, typeForbidden, "the open codec answers under the names of this machine only")
		}
		header := c.Response().Header()
		header.Add(echo.HeaderVary, echo.HeaderOrigin)
		origin := c.Request().Header.Get(echo.HeaderOrigin)
		if origin == "" {
			return next(c)
		}
		if !s.knownOrigin(origin) {
			return newProblem(http.StatusForbidden, typeForbidden, "the codec is not for pages of this origin")
		}
		header.Set(echo.HeaderAccessControlAllowOrigin, origin)
		header.Set(echo.HeaderAccessControlAllowCredentials, "true")
		return next(c)
	}
}

func (s *Server) knownOrigin(origin string) bool {
	if slices.Contains(s.deps.CodecUse.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return s.deps.CodecUse.Open && err == nil && (u.Scheme == "http" || u.Scheme == "https") && loopbackName(u.Hostname())
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

func loopbackName(host string) bool { return config.Loopback(net.JoinHostPort(host, "0")) }

// codecPreflight tells a browser what the UI's page may send.
func (s *Server) codecPreflight(c echo.Context) error {
	header := c.Response().Header()
	header.Set(echo.HeaderAccessControlAllowMethods, http.MethodPost)
	header.Set(echo.HeaderAccessControlAllowHeaders, "Content-Type, X-Namespace, Authorization, Authorization-Extras")
	header.Set(echo.HeaderAccessControlMaxAge, "600")
	return c.NoContent(http.StatusNoContent)
}

// codecCaller lets operators in, or, where the setting opens the codec of this machine, everybody on it.
func (s *Server) codecCaller(next echo.HandlerFunc) echo.HandlerFunc {
	if s.deps.CodecUse.Open {
		return s.limitStrangers(next)
	}
	return s.only(config.RoleOperator)(next)
}

// codec opens and seals payloads for the Temporal UI.
func (s *Server) codec(c echo.Context) error {
	if verb := c.Param("verb"); verb != "decode" && verb != "encode" {
		return echo.ErrNotFound
	}
	converter.NewPayloadCodecHTTPHandler(s.deps.Codec).ServeHTTP(c.Response(), c.Request())
	return nil
}
