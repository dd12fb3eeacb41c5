module a360.test/pause

go 1.26
