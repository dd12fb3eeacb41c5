programs="versitygw"
package() { echo github.com/versity/versitygw/cmd/versitygw; }
