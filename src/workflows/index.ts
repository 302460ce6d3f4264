export { migration } from './migration';
