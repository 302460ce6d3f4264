export { fineTune } from './fine-tune';
export { migration } from './migration';
